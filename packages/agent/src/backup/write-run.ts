import { escapeText } from '@bakker/command-line';
import { createManifestEncoder, UnchangedLines } from '@bakker/impl-format';
import type { ManifestHeader, SteppedManifest, ObjectCounts, RunName } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type {
  Catalogue,
  LastRuns,
  ManifestDraft,
  StateFolder,
  StoredManifest,
} from '../ports/state-folder.ts';
import { ParentChanged } from '../ports/storage-account.ts';
import type {
  Published,
  PublishOptions,
  Receipt,
  RunWriter,
  StorageAccount,
  StoredRun,
} from '../ports/storage-account.ts';
import type { ScanPlan, SourceSurvey } from '../ports/source-tree.ts';
import type { Encryption } from '../sealed/encryption.ts';
import { rememberClearRun } from '../sealed/remember-clear-run.ts';
import type { Naming } from '../sealed/sealing.ts';
import { AgentError } from '../errors.ts';
import { openCatalogue } from './catalogue-session.ts';
import type { Parent } from './choose-parent.ts';
import { dryRunWriter } from './dry-run-writer.ts';
import { ParentEntries } from './earlier-entries.ts';
import type { FrozenSource } from './freeze-source.ts';
import { describeFrozen, withoutCopy } from './frozen-report.ts';
import { SourceCounts, freezeReason, refuseLostMounts } from './guards.ts';
import { KnownContents } from './known-content.ts';
import { joinParent } from './join-parent.ts';
import { LazyBlocks } from './lazy-blocks.ts';
import { ObjectCounter } from './object-counter.ts';
import type { Problems } from './problems.ts';
import { Pusher } from './pusher.ts';
import type { BackupReport } from './report.ts';
import type { BackupOptions, BackupPorts } from './run-backup.ts';
import type { ScanAhead } from './scan-ahead.ts';
import { linkableName, whyNotLinked } from './same-seal.ts';
import { Tally, type Brought } from './tally.ts';
import { stages } from '../timings/stages.ts';

export interface WriteRunOptions extends Omit<BackupOptions, 'encryption'> {
  readonly encryption: Encryption | undefined;
  readonly runs: readonly StoredRun[];
  readonly parent: Parent | undefined;
  /** What the last run held: this one will hold about as much. */
  readonly expected: { readonly files: number; readonly bytes: number } | undefined;
  /** The parent's manifest, its header read. */
  readonly before: SteppedManifest | undefined;
  /** The scan beside `before`, if it was begun already. */
  readonly ahead: ScanAhead | undefined;
  readonly warnings: string[];
  readonly onWarning: (text: string) => void;
  readonly problems: Problems;
  /** Undefined when live files are read. */
  readonly frozen: FrozenSource | undefined;
  readonly plan: ScanPlan;
  readonly survey: SourceSurvey;
  /** Leave what is the same as in the parent to the storage, where it can do that; else link file by file. */
  readonly mayKeep: boolean;
  /** Content of unfinished runs may be linked. */
  readonly mayCarry: boolean;
  /** By the attempts before this one. */
  readonly brought: Brought | undefined;
}

export interface WrittenRun {
  readonly report: BackupReport;
  readonly finishedAtMs: number;
  /** Why retention should stand still from now on. */
  readonly frozen: LastRuns['frozen'];
  /** Whether the storage retires runs: then it alone says whether they are frozen. */
  readonly isRetiredByStorage: boolean;
  /** Of the account that it went to. */
  readonly address: string;
}

/** Scans, compares and pushes against `parent`, and publishes. One attempt over one connection. */
export async function writeRun(
  options: WriteRunOptions,
  ports: BackupPorts & { account: StorageAccount },
): Promise<WrittenRun> {
  const { config, parent, before, warnings, onWarning, problems, plan, survey } = options;
  const { account, state, clock, progress, signal, source } = ports;
  const startedAtMs = options.ahead?.startedAtMs ?? clock.nowMs();
  if (before && !options.allowEmpty) {
    refuseLostMounts({ sources: plan.sources, filesystems: survey.filesystems, parent: before.header });
  }
  if (before && before.header.host !== options.host) onWarning(otherServersRun(before.header, options.host));
  const { encryption } = options;
  const otherSeal = before && whyNotLinked(before.header, encryption?.recipients);
  if (otherSeal !== undefined) onWarning(otherSeal);
  const linked = otherSeal === undefined ? parent : undefined;
  const complete = options.runs.filter((stored) => stored.state === 'complete').map((stored) => stored.run);
  await using writer = options.dryRun
    ? dryRunWriter(complete, startedAtMs)
    : await begin(account, startedAtMs, linked);
  // asked for when the run is published; the answer comes meanwhile
  const identity = options.dryRun ? undefined : account.identity();
  identity?.catch(() => undefined);
  await using draft = await state.draft();
  const { filesystems } = survey;
  await using sealed =
    (await encryption?.begin({
      accountId: await account.identity(),
      ...{ state, source, writer, filesystems },
      parent: linked && before && { header: before.header, manifest: () => linked.manifest() },
      dryRun: options.dryRun,
    })) ?? null;
  const header = makeHeader({ options, survey, run: writer.run, startedAtMs, plan, naming: sealed?.naming });
  using encoder = createManifestEncoder(header, sealed === null ? writer.manifestFollower : undefined);
  const contents = async () => linkableName(await (identity ?? account.identity()), encryption?.recipients);
  const carried = options.mayCarry ? writer.carriedFolders : [];
  using catalogue = new LazyCatalogue(async () =>
    openCatalogue({ state, identity: await contents(), runs: complete, carried, parent: linked }),
  );
  using blocks =
    config.blockChangeBytes === undefined
      ? null
      : new LazyBlocks(config.blockChangeBytes, async () => state.blockMemory(await contents()), {
          mountPoints: survey.filesystems.map(({ mountPoint }) => mountPoint),
          isRemembered: !options.dryRun,
        });
  const tally = new Tally(options.brought);
  const counts = new SourceCounts(plan.sources.map(({ path }) => path));
  const earlier =
    options.ahead?.earlier ?? (before && new ParentEntries(before.cursor(), before.header.startedAtMs));
  await using reader = source.openReader();
  const pusher = new Pusher({
    writer,
    reader,
    mayKeep: options.mayKeep && linked !== undefined && sealed?.mayKeep !== false,
    sealing: sealed?.sealing,
    naming: sealed?.naming,
    keeping: sealed?.keeping,
    isSettled: (ctimeNs) => earlier?.isSettled(ctimeNs) === true,
    source,
    parent: linked?.run,
    knownContents: async () => new KnownContents(await catalogue.open(), survey.filesystems),
    large: blocks ?? undefined,
    checksum: options.checksum,
    ...{ tally, progress },
    memoryBytes: options.memoryBytes,
    onProblem: (problem) => problems.add(problem),
    onWarning,
  });
  const objects = new ObjectCounter();
  const manifestHash = createHash('sha256');
  let manifestSizeBytes = 0;
  const write = async (chunks: readonly Uint8Array[]) => {
    for (const chunk of chunks) {
      manifestHash.update(chunk);
      await draft.write(chunk);
      manifestSizeBytes += chunk.length;
    }
  };
  progress.stage(parent ? `comparing with ${parent.run}` : 'first run: everything is sent');
  if (options.expected) progress.expect(options.expected);
  const scan = options.ahead?.batches() ?? source.scan(plan, survey, { signal, earlier });
  for await (const pairs of joinParent(scan, earlier)) {
    signal.throwIfAborted();
    for (const pair of pairs) {
      const isBoth = pair instanceof UnchangedLines;
      counts.count(pair.path, isBoth || pair.left !== undefined, isBoth || pair.right !== undefined);
    }
    const done = await stages.doing('compare', () => pusher.push(pairs));
    objects.add(done);
    if (done.length > 0) await write(await stages.doing('manifest', () => encoder.encode(done)));
  }
  const rest = await pusher.finish();
  objects.add(rest);
  await write(await encoder.encode(rest));
  signal.throwIfAborted();
  if (parent && !options.allowEmpty) counts.refuseEmptied(parent.run);

  await verify(parent);
  await options.frozen?.check();
  source.confirm(survey);

  const finishedAtMs = clock.nowMs();
  const { chunks, trailer } = await encoder.finish({ finishedAtMs, addedBytes: tally.brought.storedBytes });
  await write(chunks);
  const copied = withoutCopy(tally.files, options.frozen);
  const files = { ...copied, unreadable: copied.unreadable + problems.missingCount };
  const status = files.unreadable > 0 ? 'partial' : 'complete';
  const isRetiredByStorage = account.side !== undefined;
  // sealed to other keys, all counts as changed: nothing of before may be linked
  const shares = otherSeal === undefined ? config : { ...config, freezeChangedShare: 1 };
  const reason = parent && freezeReason(tally, shares);
  if (reason !== undefined) {
    const thaw = isRetiredByStorage
      ? "the storage's administrator looks"
      : 'you look (bakker retention --thaw)';
    onWarning(`${reason} since ${parent?.run ?? ''}: retention stands still until ${thaw}`);
  }
  const ownFreeze = reason === undefined ? undefined : { reason, sinceRun: writer.run };
  problems.summarise();
  const report: BackupReport = {
    run: writer.run,
    status,
    parent: parent?.run ?? null,
    files,
    bytes: tally.bytes,
    seconds: (clock.nowMs() - startedAtMs) / 1000,
    ...describeFrozen(options.frozen),
    warnings,
  };
  const { address } = account;
  if (options.dryRun) return { report, finishedAtMs, frozen: ownFreeze, isRetiredByStorage, address };

  stages.begin('publishing');
  progress.stage(`publishing ${writer.run}`);
  const receipt = {
    run: writer.run,
    status,
    startedAtMs,
    finishedAtMs,
    files: tally.files.total,
    sourceBytes: tally.bytes.source,
    addedBytes: tally.brought.storedBytes,
    manifestSha256: manifestHash.digest('hex'),
    manifestDigest: trailer.digest,
    ...(reason === undefined ? {} : { frozen: reason }),
  } as const;
  const reopen = ports.openAccount;
  const counted = objects.counts(pusher.hasLongPathsFolder);
  let published: Published | undefined;
  draft.flush();
  if (sealed === null) {
    const accountId = await (identity ?? account.identity());
    await rememberClearRun(writer.run, { state, accountId, complete });
    published = await publish(writer, {
      manifest: () => draft.read(),
      manifestSizeBytes,
      receipt,
      objects: counted,
      reopen,
    });
  } else {
    await using sealedDraft = await state.draft('sealed');
    const stored = await collect(sealed.sealing.manifest(draft.read()), sealedDraft);
    // without it, a run that was published in the moment of a kill could not be read by the next one
    const kept = { digest: trailer.digest, stored, isPending: true };
    await draft.keepAs(writer.run, { ...kept, sha256: receipt.manifestSha256 });
    await sealed.remember();
    published = await publish(writer, {
      manifest: () => sealedDraft.read(),
      manifestSizeBytes: stored.sizeBytes,
      receipt: { ...receipt, ...sealedFigures(counted, tally), ...digestsOf(stored) },
      objects: counted,
      isSealed: true,
      reopen,
    });
  }
  try {
    blocks?.published();
    await noteContents({ catalogue, state, identity: contents(), writer, parent: linked });
    if (sealed === null) {
      const stored = published && {
        sha256: published.manifestSha256,
        sizeBytes: published.manifestSizeBytes,
      };
      await draft.keepAs(writer.run, { digest: trailer.digest, stored, sha256: receipt.manifestSha256 });
    } else await state.keepOnly(writer.run);
  } catch (error) {
    if (signal.aborted) throw error;
    onWarning(notKept(writer.run, state.explain(error)));
  }
  const frozenThere = published?.frozen;
  if (frozenThere && reason === undefined) {
    onWarning(
      `the storage keeps every run since ${frozenThere.sinceRun}: ${frozenThere.reason}; its administrator has to look`,
    );
  }
  stages.begin('cleaning-up');
  await tidy(writer, { signal, onWarning });
  return {
    report: { ...report, seconds: (clock.nowMs() - startedAtMs) / 1000 },
    finishedAtMs,
    frozen: isRetiredByStorage ? frozenThere && { ...frozenThere, isAtStorage: true } : ownFreeze,
    isRetiredByStorage,
    address,
  };
}

/** A server that was renamed, or two that take turns in one account: each then compares with the other's files. */
function otherServersRun({ run, host: other }: ManifestHeader, host: string): string {
  return (
    `${run} is a run of ${escapeText(other)}, and this is ${escapeText(host)}: unless it was renamed, or took that one's place, ` +
    'give each server an account of its own, for retention takes their runs for those of one'
  );
}

/** The parent's manifest on the storage is not the one that the run was compared with. */
export class ParentDamaged extends Error {
  override readonly name = 'ParentDamaged';
  readonly run: RunName;

  constructor(run: RunName, cause: unknown) {
    super(`run ${run} is damaged`, { cause });
    this.run = run;
  }
}

/** @throws ParentDamaged */
async function begin(account: StorageAccount, nowMs: number, parent: Parent | undefined): Promise<RunWriter> {
  let writer: RunWriter;
  try {
    writer = await account.begin({ nowMs, parent: parent?.run });
  } catch (error) {
    if (parent && error instanceof ParentChanged) throw new ParentDamaged(parent.run, error);
    throw error;
  }
  const found = writer.parent?.manifestSha256;
  if (!parent || found === undefined || found === parent.storedSha256) return writer;
  await writer[Symbol.asyncDispose]();
  throw new ParentDamaged(parent.run, new Error('its manifest on the storage is not what was written there'));
}

async function verify(parent: Parent | undefined): Promise<void> {
  try {
    await parent?.verified;
  } catch (error) {
    if (parent && error instanceof AgentError && error.code === 'MANIFEST_DAMAGED')
      throw new ParentDamaged(parent.run, error);
    throw error;
  }
}

async function collect(bytes: AsyncIterable<Uint8Array>, draft: ManifestDraft): Promise<StoredManifest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of bytes) {
    hash.update(piece);
    sizeBytes += piece.length;
    await draft.write(piece);
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** A receipt lies open: of a sealed run it says what the storage can count itself. */
function sealedFigures(
  { files, bytes }: ObjectCounts,
  tally: Tally,
): Pick<Receipt, 'files' | 'sourceBytes' | 'addedBytes'> {
  return { files, sourceBytes: bytes, addedBytes: tally.brought.sealedBytes };
}

/** The digest in the trailer is made of names and contents, and stays inside. */
function digestsOf({ sha256 }: StoredManifest): Pick<Receipt, 'manifestSha256' | 'manifestDigest'> {
  return { manifestSha256: sha256, manifestDigest: sha256 };
}

/** A connection that is cut just after the storage renamed the run must not make a second run of it. */
async function publish(
  writer: RunWriter,
  options: PublishOptions & { reopen: () => Promise<StorageAccount> },
): Promise<Published | undefined> {
  try {
    return await writer.publish(options);
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'CONNECTION_LOST') throw error;
    await using again = await options.reopen().catch(() => {
      throw error;
    });
    const there = (await again.listRuns()).find(
      ({ run, state }) => run === writer.run && state === 'complete',
    );
    const receipt = there && (await again.receipt(writer.run));
    // the digest covers the header, which names the run and its start
    if (receipt?.manifestDigest !== options.receipt.manifestDigest) throw error;
    const sizeBytes = there?.manifestSizeBytes;
    if (sizeBytes === undefined) return undefined;
    return {
      manifestSha256: receipt.manifestSha256,
      manifestSizeBytes: sizeBytes,
      frozen: again.side?.frozen,
    };
  }
}

/** The run is there, whatever became of the notes of it: the next one finds out again what it has to. */
export function notKept(run: string, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `run ${run} is published, but what this server remembers of it could not be kept: ${reason}`;
}

/** What the run brought is found under its name from now on, and all of its content is known. */
async function noteContents(from: {
  catalogue: LazyCatalogue;
  state: StateFolder;
  identity: Promise<string>;
  writer: RunWriter;
  parent: Parent | undefined;
}): Promise<void> {
  const { writer, parent } = from;
  if (from.catalogue.opened) {
    from.catalogue.opened.renameFolder(writer.folder, writer.run);
    from.catalogue.opened.setCovers(writer.run);
    return;
  }
  // nothing was new: what covered the parent covers this run
  using catalogue = await from.state.catalogue(await from.identity);
  if (parent && catalogue.covers() === parent.run) catalogue.setCovers(writer.run);
}

/** The run is published whatever happens here: what is left is removed by a later run. */
async function tidy(
  writer: RunWriter,
  { signal, onWarning }: { signal: AbortSignal; onWarning: (text: string) => void },
): Promise<void> {
  try {
    await writer.cleanUp({ signal });
  } catch (error) {
    if (signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    onWarning(`what an unfinished run had left is not removed yet: ${reason}; the next run does it`);
  }
}

function makeHeader(from: {
  options: WriteRunOptions;
  survey: SourceSurvey;
  run: RunName;
  startedAtMs: number;
  plan: ScanPlan;
  naming: Naming | undefined;
}): ManifestHeader {
  const { options, survey, run, startedAtMs, plan, naming } = from;
  const recipients = options.encryption?.recipients;
  return {
    run,
    parent: options.parent?.run ?? null,
    parentDigest: options.parent?.digest ?? null,
    host: options.host,
    agent: `bakker ${options.version}`,
    startedAtMs,
    sources: plan.sources.map(({ path }) => path),
    filesystems: survey.filesystems,
    ...(recipients === undefined ? {} : { recipients }),
    ...(naming?.nameKey === undefined ? {} : { nameKey: naming.nameKey }),
  };
}

/** Opened by the first who needs it, closed with the run. */
class LazyCatalogue implements Disposable {
  readonly #open: () => Promise<Catalogue>;
  #opening: Promise<Catalogue> | undefined;
  opened: Catalogue | undefined;

  constructor(open: () => Promise<Catalogue>) {
    this.#open = open;
  }

  open(): Promise<Catalogue> {
    return (this.#opening ??= this.#open().then((catalogue) => (this.opened = catalogue)));
  }

  [Symbol.dispose](): void {
    this.opened?.[Symbol.dispose]();
  }
}
