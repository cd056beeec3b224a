import { createManifestEncoder, UnchangedLines } from '@bakker/impl-format';
import type { ManifestEncoder, ObjectCounts, SteppedManifest } from '@bakker/impl-format';
import type { LastRuns } from '../ports/state-folder.ts';
import type { StorageAccount, StoredRun } from '../ports/storage-account.ts';
import type { ScanPlan, SourceSurvey } from '../ports/source-tree.ts';
import type { Encryption } from '../sealed/encryption.ts';
import { stages } from '../timings/stages.ts';
import { noteContents, notKept, tidy } from './after-publish.ts';
import { beginRun, verifyParent } from './begin-run.ts';
import { openCatalogue } from './catalogue-session.ts';
import type { Parent } from './choose-parent.ts';
import { dryRunWriter } from './dry-run-writer.ts';
import { ParentEntries } from './earlier-entries.ts';
import type { FrozenSource } from './freeze-source.ts';
import { describeFrozen, withoutCopy } from './frozen-report.ts';
import { SourceCounts, freezeReason, refuseLostMounts } from './guards.ts';
import { joinParent } from './join-parent.ts';
import type { Joined } from './join-parent.ts';
import { KnownContents } from './known-content.ts';
import { LazyBlocks } from './lazy-blocks.ts';
import { LazyCatalogue } from './lazy-catalogue.ts';
import { ManifestOutput } from './manifest-output.ts';
import { ObjectCounter } from './object-counter.ts';
import type { Problems } from './problems.ts';
import { publishRun } from './publish-run.ts';
import { Pusher } from './pusher.ts';
import type { BackupReport } from './report.ts';
import type { BackupOptions, BackupPorts } from './backup-options.ts';
import { makeHeader, otherServersRun } from './run-header.ts';
import { linkableName, whyNotLinked } from './same-seal.ts';
import type { ScanAhead } from './scan-ahead.ts';
import { secondsSince } from './seconds-since.ts';
import { Tally, type Brought } from './tally.ts';

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
  const { config, parent, before, warnings, onWarning, problems, plan, survey, encryption } = options;
  const { account, state, clock, progress, signal, source } = ports;
  const startedAtMs = options.ahead?.startedAtMs ?? clock.nowMs();
  const begunMs = options.ahead?.begunMs ?? performance.now();
  if (before && !options.allowEmpty) {
    refuseLostMounts({ sources: plan.sources, filesystems: survey.filesystems, parent: before.header });
  }
  if (before && before.header.host !== options.host) onWarning(otherServersRun(before.header, options.host));
  const otherSeal = before && whyNotLinked(before.header, encryption?.recipients);
  if (otherSeal !== undefined) onWarning(otherSeal);
  const linked = otherSeal === undefined ? parent : undefined;
  const complete = options.runs.filter((stored) => stored.state === 'complete').map((stored) => stored.run);
  await using writer = options.dryRun
    ? dryRunWriter(complete, startedAtMs)
    : await beginRun(account, startedAtMs, linked);
  // asked for when the run is published; the answer comes meanwhile
  const identity = options.dryRun ? undefined : account.identity();
  identity?.catch(() => undefined);
  const accountId = async () => identity ?? account.identity();
  await using draft = await state.draft();
  const { filesystems } = survey;
  await using sealed =
    (await encryption?.begin({
      accountId: await account.identity(),
      ...{ state, source, writer, filesystems },
      parent: linked && before && { header: before.header, manifest: () => linked.manifest() },
      dryRun: options.dryRun,
    })) ?? null;
  const header = makeHeader(options, { run: writer.run, startedAtMs, naming: sealed?.naming });
  using encoder = createManifestEncoder(header, sealed === null ? writer.manifestFollower : undefined);
  const contents = async () => linkableName(await accountId(), encryption?.recipients);
  const carried = options.mayCarry ? writer.carriedFolders : [];
  using catalogue = new LazyCatalogue(async () =>
    openCatalogue({ state, identity: await contents(), runs: complete, carried, parent: linked }),
  );
  using blocks =
    config.blockChangeBytes === undefined
      ? null
      : new LazyBlocks(config.blockChangeBytes, async () => state.blockMemory(await contents()), {
          mountPoints: filesystems.map(({ mountPoint }) => mountPoint),
          isRemembered: !options.dryRun,
        });
  const tally = new Tally(options.brought);
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
    isParentOlder: linked !== undefined && linked.run !== complete.at(-1),
    knownContents: async () => new KnownContents(await catalogue.open(), filesystems),
    large: blocks ?? undefined,
    checksum: options.checksum,
    ...{ tally, progress },
    memoryBytes: options.memoryBytes,
    onProblem: (problem) => problems.add(problem),
    onWarning,
  });
  const manifest = new ManifestOutput(draft);
  const alone =
    complete.length === 0 ? 'first run: everything is sent' : 'no run to compare with: everything is read';
  progress.stage(parent ? `comparing with ${parent.run}` : alone);
  if (options.expected) progress.expect(options.expected);
  const scan = options.ahead?.batches() ?? source.scan(plan, survey, { signal, earlier });
  const { objects, counts } = await putEntries(joinParent(scan, earlier), {
    ...{ plan, pusher, encoder, manifest, signal },
  });
  signal.throwIfAborted();
  if (parent && !options.allowEmpty) counts.refuseEmptied(parent.run);

  await verifyParent(parent);
  await options.frozen?.check();
  source.confirm(survey);

  const finishedAtMs = clock.nowMs();
  const { chunks, trailer } = await encoder.finish({ finishedAtMs, addedBytes: tally.brought.storedBytes });
  await manifest.write(chunks);
  const copied = withoutCopy(tally.files, options.frozen);
  const files = { ...copied, unreadable: copied.unreadable + problems.missingCount };
  const status = files.unreadable > 0 ? 'partial' : 'complete';
  const isRetiredByStorage = account.side !== undefined;
  // sealed to other keys, all counts as changed: nothing of before may be linked
  const shares = otherSeal === undefined ? config : { ...config, freezeChangedShare: 1 };
  const reason = parent && freezeReason(tally, shares);
  if (reason !== undefined) onWarning(standsStill(reason, { since: parent?.run, isRetiredByStorage }));
  const ownFreeze = reason === undefined ? undefined : { reason, sinceRun: writer.run };
  problems.summarise();
  const report: BackupReport = {
    run: writer.run,
    status,
    parent: parent?.run ?? null,
    files,
    bytes: tally.bytes,
    seconds: secondsSince(begunMs),
    ...describeFrozen(options.frozen),
    warnings,
  };
  const { address } = account;
  if (options.dryRun) return { report, finishedAtMs, frozen: ownFreeze, isRetiredByStorage, address };

  stages.begin('publishing');
  progress.stage(`publishing ${writer.run}`);
  const written = manifest.stored();
  const receipt = {
    run: writer.run,
    status,
    startedAtMs,
    finishedAtMs,
    files: tally.files.total,
    sourceBytes: tally.bytes.source,
    addedBytes: tally.brought.storedBytes,
    manifestSha256: written.sha256,
    manifestDigest: trailer.digest,
    ...(reason === undefined ? {} : { frozen: reason }),
  } as const;
  const published = await publishRun(
    { writer, draft, manifest: written, receipt, objects, tally, sealed },
    { state, accountId, complete, openAccount: ports.openAccount },
  );
  try {
    blocks?.published();
    await noteContents({ catalogue, state, identity: contents(), writer, last: complete.at(-1) });
    if (sealed === null) {
      const stored = published && {
        sha256: published.manifestSha256,
        sizeBytes: published.manifestSizeBytes,
      };
      await draft.keepAs(writer.run, { digest: trailer.digest, stored, sha256: written.sha256 });
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
    report: { ...report, seconds: secondsSince(begunMs) },
    finishedAtMs,
    frozen: isRetiredByStorage ? frozenThere && { ...frozenThere, isAtStorage: true } : ownFreeze,
    isRetiredByStorage,
    address,
  };
}

/** Puts all that scan and parent say into the run and its manifest. */
async function putEntries(
  batches: AsyncIterable<readonly Joined[]>,
  into: {
    plan: ScanPlan;
    pusher: Pusher;
    encoder: ManifestEncoder;
    manifest: ManifestOutput;
    signal: AbortSignal;
  },
): Promise<{ objects: ObjectCounts; counts: SourceCounts }> {
  const { plan, pusher, encoder, manifest, signal } = into;
  const counts = new SourceCounts(plan.sources.map(({ path }) => path));
  const objects = new ObjectCounter();
  for await (const pairs of batches) {
    signal.throwIfAborted();
    for (const pair of pairs) {
      const isBoth = pair instanceof UnchangedLines;
      counts.count(pair.path, isBoth || pair.left !== undefined, isBoth || pair.right !== undefined);
    }
    const done = await stages.doing('compare', () => pusher.push(pairs));
    objects.add(done);
    if (done.length > 0) await manifest.write(await stages.doing('manifest', () => encoder.encode(done)));
  }
  const rest = await pusher.finish();
  objects.add(rest);
  await manifest.write(await encoder.encode(rest));
  return { objects: objects.counts(pusher.hasLongPathsFolder), counts };
}

function standsStill(
  reason: string,
  { since = '', isRetiredByStorage }: { since: string | undefined; isRetiredByStorage: boolean },
): string {
  const thaw = isRetiredByStorage
    ? "the storage's administrator looks"
    : 'you look (bakker retention --thaw)';
  return `${reason} since ${since}: retention stands still until ${thaw}`;
}
