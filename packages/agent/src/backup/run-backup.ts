import { whatFailed } from '@bakker/command-line';
import { AgentError } from '../errors.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../ports/clock.ts';
import type { Progress } from '../ports/progress.ts';
import { FilesDone } from './files-done.ts';
import type { LastRuns, StateFolder } from '../ports/state-folder.ts';
import { MissingFromStorage, RunDiffers, StoredOtherwise } from '../ports/storage-account.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { ScanPlan, SourceSurvey, SourceTree } from '../ports/source-tree.ts';
import { manifestName, parseRunName, readManifest } from '@bakker/impl-format';
import { isLineLost, RECONNECT_AFTER_MS, sleep } from '../reconnecting.ts';
import type { Encryption } from '../sealed/encryption.ts';
import { asksToFreeze } from '../config/freezing.ts';
import type { Freezing } from '../ports/frozen-source.ts';
import { chooseParent } from './choose-parent.ts';
import { missingLastRun, refuseEmptiedStorage } from './guards.ts';
import { markedFreeze, readReceipts, unheardOf } from '../retain/published-runs.ts';
import { FreezingOfRun } from './freezing-of-run.ts';
import type { BackupReport } from './report.ts';
import { ScanAhead } from './scan-ahead.ts';
import { Brought } from './tally.ts';
import { Problems } from './problems.ts';
import { clearAfterSealed } from './same-seal.ts';
import { ParentDamaged, notKept, writeRun } from './write-run.ts';
import type { WrittenRun } from './write-run.ts';
import { stages } from '../timings/stages.ts';

export interface BackupOptions {
  readonly config: Config;
  readonly dryRun: boolean;
  /** Run although the last one is younger than the interval. */
  readonly force: boolean;
  /** Read all content, whatever the times say. */
  readonly checksum: boolean;
  readonly allowEmpty: boolean;
  /** Make a clear run although the last one is sealed. */
  readonly allowClear: boolean;
  /** For contents in flight. */
  readonly memoryBytes: number;
  /** This program's version, for the manifest. */
  readonly version: string;
  /** This server's name, for the manifest. */
  readonly host: string;
  /** How runs are sealed; undefined for clear ones. */
  readonly encryption?: (() => Promise<Encryption>) | undefined;
  /** Waits before the account is connected to again after cuts that follow each other without progress. */
  readonly reconnectAfterMs?: readonly number[];
  /** The configuration with what the storage's administrator adds to it. @throws AgentError CONFIG_INVALID */
  readonly withStorageConfig?: (config: Config, storageText: string | undefined) => Config;
}

export interface BackupPorts {
  /** Opens the account anew at each call: after a cut the old connection is of no use. */
  readonly openAccount: () => Promise<StorageAccount>;
  /** The live files. */
  readonly source: SourceTree;
  /** Lets services stand still and freezes file systems, as configured. */
  readonly freezing?: Freezing;
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Lets others go before this process: called once services run again, which should neither wait nor inherit that. */
  readonly stepBack?: () => Promise<void>;
  /** A run is due, and begins; also when it goes on after a cut. */
  readonly onBegin?: () => void;
  /** The run is published, the account still open. */
  readonly onPublished?: (account: StorageAccount) => Promise<void>;
}

/**
 * Makes one run: `lock → recover → parent → freeze → scan → compare → push → publish → release → report`. A cut connection
 * is opened again, and what had arrived is not sent again. A parent that turns out damaged is given up for an older one.
 *
 * @throws AgentError with the documented codes; nothing is published then
 */
export async function runBackup(options: BackupOptions, ports: BackupPorts): Promise<BackupReport> {
  using _lock = await ports.state.lock(options.dryRun ? 'backup --dry-run' : 'backup');
  const startedAtMs = ports.clock.nowMs();
  const freezing = new FreezingOfRun(ports);
  try {
    if (!options.dryRun) await freezing.recover();
    const written = await untilUncut(options, ports, freezing);
    const forgotten = await unremembered(options, ports, { written, startedAtMs });
    const left = await freezing.release();
    return { ...written.report, warnings: [...written.report.warnings, ...forgotten, ...left] };
  } catch (found) {
    const error = ports.state.explain(found);
    await freezing.release();
    if (!options.dryRun) await rememberFailure(ports, error, startedAtMs).catch(() => undefined);
    throw error;
  }
}

async function untilUncut(
  options: BackupOptions,
  ports: BackupPorts,
  freezing: FreezingOfRun,
): Promise<WrittenRun> {
  const damaged = new Set<string>();
  const ways = WAYS.values();
  let way = ways.next().value ?? BY_KEEPING;
  let wasAltered = false;
  const mended: string[] = [];
  const brought = options.dryRun ? undefined : new Brought();
  let begunMs: number | undefined;
  const onBegin = () => {
    begunMs ??= ports.clock.nowMs();
    if (!options.dryRun) ports.onBegin?.();
  };
  const { reconnectAfterMs = RECONNECT_AFTER_MS } = options;
  let isFirst = true;
  let cuts = 0;
  let furthest = 0;
  for (;;) {
    const progress = new FilesDone(ports.progress);
    try {
      const written = await attempt(
        options,
        { ...ports, progress },
        { isFirst, damaged, onBegin, way, freezing, brought },
      );
      const { report } = written;
      const seconds =
        isFirst || begunMs === undefined ? report.seconds : (ports.clock.nowMs() - begunMs) / 1000;
      return { ...written, report: { ...report, seconds, warnings: [...mended, ...report.warnings] } };
    } catch (found) {
      const error = await freezing.explain(found);
      if (error instanceof ParentDamaged && !damaged.has(error.run)) {
        damaged.add(error.run);
        continue;
      }
      if (error instanceof RunDiffers) {
        const next = ways.next();
        if (next.done === true) throw unlikeTheManifest(error);
        way = next.value;
        if (!way.mayCarry) brought?.dropStored();
        ports.progress.warning(`${error.message}; ${way.words}`);
        continue;
      }
      if (error instanceof StoredOtherwise) {
        if (wasAltered) throw alteredAgain(error);
        wasAltered = true;
        ports.progress.warning(`${error.message}; it is sent again`);
        continue;
      }
      if (error instanceof MissingFromStorage) throw meddled(error);
      const dropped = mended.length < MOST_MENDED ? await ports.state.mend(error) : undefined;
      if (dropped !== undefined) {
        mended.push(`${dropped} was damaged, and is made anew`);
        ports.progress.warning(mended.at(-1) ?? '');
        continue;
      }
      // a first run over a line that breaks every few hours goes on as long as each attempt gets further
      if (progress.files > furthest) cuts = 0;
      furthest = Math.max(furthest, progress.files);
      const waitMs = reconnectAfterMs[cuts];
      // a line that breaks before anything was done will not get better
      if (begunMs === undefined || !isCut(error, isFirst) || waitMs === undefined || ports.signal.aborted)
        throw error;
      ports.progress.warning(`${error.message}; connecting again in ${waitMs / 1000} s`);
      await sleep(waitMs, ports.signal);
      cuts++;
      isFirst = false;
    }
  }
}

/** Times that a run begins anew because something in the state folder was damaged. */
const MOST_MENDED = 3;

/** How unchanged files come into the run. */
interface Way {
  readonly mayKeep: boolean;
  readonly mayCarry: boolean;
  readonly words: string;
}

const BY_KEEPING: Way = { mayKeep: true, mayCarry: true, words: '' };
/** The next one is taken when the storage counts other objects than the agent: each finds more of what is missing. */
const WAYS: readonly Way[] = [
  BY_KEEPING,
  {
    mayKeep: false,
    mayCarry: true,
    words: 'every file is linked by itself, and what is missing there is sent again',
  },
  { mayKeep: false, mayCarry: false, words: 'what an unfinished run had left is not used any more' },
];

async function attempt(
  options: BackupOptions,
  ports: BackupPorts,
  conditions: {
    isFirst: boolean;
    damaged: ReadonlySet<string>;
    onBegin: () => void;
    way: Way;
    freezing: FreezingOfRun;
    brought: Brought | undefined;
  },
): Promise<WrittenRun> {
  const { isFirst, damaged, onBegin, way, freezing, brought } = conditions;
  const { source, state, clock, progress } = ports;
  const warnings: string[] = [];
  const onWarning = (text: string) => {
    warnings.push(text);
    progress.warning(text);
  };
  const encryption = await options.encryption?.();
  stages.begin('connecting');
  progress.stage('connecting');
  const problems = new Problems(onWarning, { tellsSkipped: options.dryRun });
  // A dry run lets nothing stand still: it looks at the live files.
  const freezes = (config: Config): boolean => !options.dryRun && asksToFreeze(config);
  const preparing = freezes(options.config) ? undefined : prepareScan(options.config, { source, problems });
  preparing?.catch(() => undefined); // awaited below; the storage takes its time to log us in
  await using left = new AsyncDisposableStack();
  const mayGoAhead = isFirst && damaged.size === 0 && way.mayKeep;
  const beginning = mayGoAhead
    ? // what fails here fails again below, where it is told
      preparing?.then(async (prepared) => scanAhead(prepared, options, ports)).catch(() => undefined)
    : undefined;
  left.defer(async () => (await beginning)?.[Symbol.asyncDispose]());
  await using account = await ports.openAccount();
  stages.begin('preparing');
  const asked = options.withStorageConfig?.(options.config, await account.agentConfig()) ?? options.config;
  const runs = await account.listRuns();
  const last = await state.lastRuns();
  if (!options.allowEmpty) refuseEmptiedStorage({ runs, address: account.address, last });
  const complete = runs.filter(({ state: kind }) => kind === 'complete').map(({ run }) => run);
  const missing = missingLastRun({ runs: complete, address: account.address, last });
  if (missing !== undefined && complete.length > 0 && isFirst)
    onWarning(
      `${missing} went to ${account.address} and is not there any more: was it put back to an earlier state?`,
    );
  const hasUnfinished = runs.some((stored) => stored.state === 'incomplete');
  const parent = await chooseParent({
    ...{ runs, account, state, damaged, encryption, onWarning },
    allowClear: options.allowClear,
  });
  const begun = await beginning;
  const isOwn = ({ sources, excludes }: Config): boolean =>
    sources === options.config.sources && excludes === options.config.excludes;
  const isAhead = begun?.isBeside(parent) === true && isOwn(asked) && !freezes(asked);
  await using opened =
    parent &&
    (isAhead
      ? undefined
      : await readManifest(parent.manifest(), { source: manifestName(parent.run), keepLines: true }));
  const before = isAhead ? begun.before : opened;
  if (before?.header.recipients && !encryption && !options.allowClear)
    throw clearAfterSealed(before.header.run);
  const lastStartMs = before?.header.startedAtMs;
  const isDue = lastStartMs === undefined || isDueAfter(lastStartMs, clock.nowMs(), asked);
  if (!isDue && !hasUnfinished && !options.force && !options.dryRun && isFirst) {
    return {
      report: skipped(parent?.run ?? null),
      finishedAtMs: clock.nowMs(),
      frozen: undefined,
      isRetiredByStorage: false,
      address: account.address,
    };
  }
  // asked before anything is written: a line that breaks here must not make a second run
  const marked =
    last.frozen || account.side || options.dryRun
      ? undefined
      : markedFreeze(await readReceipts(account, unheardOf(runs, last), ports));
  if (freezes(asked)) {
    stages.begin('freezing');
    onBegin();
  }
  const frozen = freezes(asked) ? await freezing.freeze(asked) : undefined;
  stages.begin('preparing');
  await ports.stepBack?.();
  for (const text of frozen?.warnings ?? []) onWarning(text);
  for (const problem of frozen?.problems ?? []) problems.add(problem);
  const config = frozen?.config ?? asked;
  const tree = frozen?.source ?? source;
  const scan = await ((isOwn(config) && preparing) || prepareScan(config, { source: tree, problems }));
  onBegin();
  stages.begin('files');
  // Awaited here: the account must outlive the run.
  const written = await writeRun(
    {
      ...options,
      ...way,
      ...{ brought, config, encryption, runs, parent, before, warnings, onWarning, problems, frozen },
      ahead: isAhead ? begun : undefined,
      expected: last.lastSuccess?.run === parent?.run ? last.lastSuccess?.held : undefined,
      ...scan,
    },
    { ...ports, source: tree, account },
  );
  if (!options.dryRun) await ports.onPublished?.(account);
  // a server that has lost its memory, or the answer to a publish, must not let retention go on that a guard had stopped
  return written.frozen || marked === undefined ? written : { ...written, frozen: marked };
}

/** A start in the future by more than the interval is a clock that was set back: then, too. */
function isDueAfter(lastStartMs: number, nowMs: number, { minIntervalMs }: Config): boolean {
  return Math.abs(nowMs - lastStartMs) >= minIntervalMs;
}

async function scanAhead(
  prepared: { plan: ScanPlan; survey: SourceSurvey },
  { config, force, dryRun }: BackupOptions,
  { source, state, clock, signal, stepBack }: BackupPorts,
): Promise<ScanAhead | undefined> {
  await stepBack?.();
  const nowMs = clock.nowMs();
  const isDue = (lastStartMs: number): boolean => force || dryRun || isDueAfter(lastStartMs, nowMs, config);
  return ScanAhead.begin({ ...prepared, ...{ source, state, signal, nowMs, isDue } });
}

/** Finds the sources and the file systems below them. @throws AgentError SOURCE_SUSPICIOUS */
async function prepareScan(
  config: Config,
  { source, problems }: { source: SourceTree; problems: Problems },
): Promise<{ plan: ScanPlan; survey: SourceSurvey }> {
  const sources = await source.expand(config.sources, config.excludes);
  const leavesOut = config.account.kind === 'local' ? Buffer.from(config.account.folder) : undefined;
  const plan: ScanPlan = { sources, leavesOut, onProblem: (problem) => problems.add(problem) };
  return { plan, survey: await source.survey(plan) };
}

function skipped(parent: string | null): BackupReport {
  return {
    run: null,
    status: 'skipped',
    parent,
    files: { total: 0, new: 0, changed: 0, metadata: 0, moved: 0, unchanged: 0, gone: 0, unreadable: 0 },
    bytes: { source: 0, sent: 0, stored: 0 },
    seconds: 0,
    warnings: [],
  };
}

/** Notes a published run. That it can't be noted is a warning: the run is there. @returns the warnings */
async function unremembered(
  { dryRun }: BackupOptions,
  ports: BackupPorts,
  { written, startedAtMs }: { written: WrittenRun; startedAtMs: number },
): Promise<readonly string[]> {
  if (dryRun || written.report.run === null) return [];
  try {
    await remember(ports, written, startedAtMs);
    return [];
  } catch (error) {
    const text = notKept(written.report.run, ports.state.explain(error));
    ports.progress.warning(text);
    return [text];
  }
}

async function remember(ports: BackupPorts, written: WrittenRun, startedAtMs: number): Promise<void> {
  const { report, finishedAtMs, frozen, isRetiredByStorage, address } = written;
  const run = parseRunName(report.run ?? '');
  if (!run || report.status === 'skipped')
    throw new Error(`a report of an unknown run ${String(report.run)}`);
  const before = await ports.state.lastRuns();
  const { windowSeconds } = report;
  const held = { files: report.files.total, bytes: report.bytes.source };
  const window = windowSeconds === undefined ? {} : { windowMs: windowSeconds * 1000 };
  const last: LastRuns = {
    lastSuccess: { run, status: report.status, startedAtMs, finishedAtMs, held, ...window },
    lastAttempt: {
      startedAtMs,
      finishedAtMs,
      exitStatus: report.status === 'partial' ? 3 : 0,
      message: report.status,
    },
    address,
    // a frozen retention stays so until somebody thaws it
    frozen: isRetiredByStorage ? frozen : (before.frozen ?? frozen),
  };
  await ports.state.saveLastRuns(last);
}

async function rememberFailure(ports: BackupPorts, thrown: unknown, startedAtMs: number): Promise<void> {
  const error = whatFailed(thrown, ports.signal);
  const before = await ports.state.lastRuns();
  const message = error instanceof Error ? error.message : String(error);
  const exitStatus = error instanceof AgentError ? error.exitStatus : 1;
  const lastAttempt = { startedAtMs, finishedAtMs: ports.clock.nowMs(), exitStatus, message };
  await ports.state.saveLastRuns({ ...before, lastAttempt });
}

function meddled(error: MissingFromStorage): AgentError {
  return new AgentError('STORAGE_REFUSED', `something that this run had made is gone: ${error.message}`, {
    hint: 'see who else writes to the account, then run bakker backup again: it continues',
    cause: error,
  });
}

function unlikeTheManifest(error: RunDiffers): AgentError {
  return new AgentError('STORAGE_REFUSED', `the run can't be published: ${error.message}`, {
    hint: 'see who else writes to the account, and the log of bakker-storage there',
    cause: error,
  });
}

function alteredAgain(error: StoredOtherwise): AgentError {
  return new AgentError('STORAGE_REFUSED', `the storage keeps storing other bytes: ${error.message}`, {
    hint: 'check the memory and the disks of the storage and of this machine',
    cause: error,
  });
}

/** The line broke, or can't be had again yet; after a cut, too, because the storage has not noticed it. */
function isCut(error: unknown, isFirst: boolean): error is AgentError {
  return isLineLost(error) || (error instanceof AgentError && error.code === 'LOCKED' && !isFirst);
}
