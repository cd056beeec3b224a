import { manifestName, readManifest } from '@bakker/impl-format';
import type { Config } from '../config/config.ts';
import { asksToFreeze } from '../config/freezing.ts';
import type { LeftOutFolder, ScanPlan, SourceSurvey, SourceTree } from '../ports/source-tree.ts';
import type { StateFolder } from '../ports/state-folder.ts';
import { markedFreeze, readReceipts, unheardOf } from '../retain/published-runs.ts';
import { adviseMisplaced, describeMisplaced, misplacedPatterns } from '../source/misplaced-patterns.ts';
import { stages } from '../timings/stages.ts';
import type { BackupOptions, BackupPorts } from './backup-options.ts';
import { chooseParent } from './choose-parent.ts';
import type { FreezingOfRun } from './freezing-of-run.ts';
import { missingLastRun, refuseEmptiedStorage } from './guards.ts';
import { Problems } from './problems.ts';
import type { BackupReport } from './report.ts';
import { clearAfterSealed } from './same-seal.ts';
import { ScanAhead } from './scan-ahead.ts';
import type { Brought } from './tally.ts';
import { writeRun } from './write-run.ts';
import type { WrittenRun } from './write-run.ts';

/** How unchanged files come into the run. */
export interface Way {
  readonly mayKeep: boolean;
  readonly mayCarry: boolean;
  readonly words: string;
}

/** Makes a run over one connection. @throws whatever ends the attempt */
export async function attemptRun(
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
  const preparing = freezes(options.config)
    ? undefined
    : prepareScan(options.config, { source, state, problems });
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
  const scan = await ((isOwn(config) && preparing) || prepareScan(config, { source: tree, state, problems }));
  if (options.dryRun && isFirst) warnOfPatterns(scan.plan, tree, onWarning);
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
  { source, state, problems }: { source: SourceTree; state: StateFolder; problems: Problems },
): Promise<{ plan: ScanPlan; survey: SourceSurvey }> {
  const sources = await source.expand(config.sources, config.excludes);
  const leavesOut = leftOutFolders(config, state);
  const plan: ScanPlan = { sources, leavesOut, onProblem: (problem) => problems.add(problem) };
  return { plan, survey: await source.survey(plan) };
}

function warnOfPatterns(
  { sources }: ScanPlan,
  tree: Pick<SourceTree, 'hasFolder'>,
  onWarning: (text: string) => void,
): void {
  for (const found of misplacedPatterns(sources, (path) => tree.hasFolder(path.subarray(1))))
    onWarning(`${describeMisplaced(found)}; ${adviseMisplaced(found)}`);
}

/**
 * The state folder is this machine's alone. What its undo journal names are snapshots and services of now: brought back on another
 * disk, they could never be undone. The rest is had anew, and changes while it is read.
 */
function leftOutFolders({ account }: Config, state: StateFolder): LeftOutFolder[] {
  const own: LeftOutFolder = {
    folder: Buffer.from(state.folder),
    code: 'state',
    why: 'bakker keeps there what it knows from run to run',
    unlessSource: true,
  };
  if (account.kind !== 'local') return [own];
  const folder = Buffer.from(account.folder);
  return [own, { folder, code: 'storage', why: 'the runs go there', unlessSource: false }];
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
