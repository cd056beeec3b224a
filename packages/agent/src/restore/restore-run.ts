import { escapeText } from '@bakker/command-line';
import { checkManifestBytes, manifestName, type ManifestTrailer } from '@bakker/impl-format';
import { manifestFailure, openManifest } from '../browse/open-manifest.ts';
import { AgentError } from '../errors.ts';
import { FolderWalk } from './folder-walk.ts';
import { reasonOf } from './local-failure.ts';
import { FilePlacer } from './place-files.ts';
import { FolderPlacer } from './place-folders.ts';
import type { PathPattern } from './path-pattern.ts';
import type { RestoreContext, RestoreJob, RestorePorts } from './restore-job.ts';
import { RestoreReport } from './restore-report.ts';
import { selectEntries, type Selection } from './select-entries.ts';
import { stages } from '../timings/stages.ts';

/** What a restore did, or in a dry run would do. */
export interface RestoreOutcome {
  readonly report: RestoreReport;
  /** What the run has nothing of. */
  readonly unmatched: readonly PathPattern[];
  readonly seconds: number;
}

/**
 * Restores a run, or what the patterns select of it, in one pass over its manifest, many files in flight. The manifest
 * is checked whole before anything is written. What can't be restored is reported, and the rest goes on. Memory: one
 * batch of entries, the contents in flight, and some thousand hard-link groups that are not complete; others go to the disk.
 *
 * @throws AgentError MANIFEST_DAMAGED, PATH_NOT_FOUND if nothing matches, RESTORE_FAILED if going on is no use,
 * INTERRUPTED; what the storage throws
 */
export async function restoreRun(job: RestoreJob, ports: RestorePorts): Promise<RestoreOutcome> {
  const startedAtMs = performance.now();
  stages.begin('preparing');
  ports.progress.stage(`reading the manifest of ${job.run}`);
  const { counts } = await checkManifest(job, ports);
  await using manifest = await openManifest(ports.account, job.run);
  await using tree = ports.target.open(job.to, { create: !job.isDryRun });
  const report = new RestoreReport();
  const context: RestoreContext = { job, ports, header: manifest.header, tree, report };
  const selection = selectEntries(manifest.batches(), job.patterns);
  // a storage that has several accounts of one owner could show a run of another server's
  const whose = `${job.run} of ${escapeText(manifest.header.host)}`;
  ports.progress.stage(`${job.isDryRun ? 'comparing with' : 'restoring'} ${whose}`);
  // the receipt of a sealed run says what its objects take on the storage
  if (job.patterns.length === 0)
    ports.progress.expect({ files: counts.entries - counts.directories, bytes: counts.bytes });
  stages.begin('files');
  await writeAll(context, selection);
  stages.begin('flushing');
  if (!job.isDryRun) await flush(context);
  const unmatched = selection.unmatched();
  if (unmatched.length > 0 && unmatched.length === job.patterns.length) {
    throw new AgentError('PATH_NOT_FOUND', `${job.run} has nothing at ${texts(unmatched)}`, {
      hint: `look with: bakker ls ${job.run}`,
    });
  }
  return { report, unmatched, seconds: (performance.now() - startedAtMs) / 1000 };
}

async function checkManifest({ run }: RestoreJob, { account }: RestorePorts): Promise<ManifestTrailer> {
  try {
    return await checkManifestBytes(account.manifest(run), { source: manifestName(run), run });
  } catch (error) {
    throw manifestFailure(error, run);
  }
}

async function writeAll(context: RestoreContext, selection: Selection): Promise<void> {
  const folders = new FolderPlacer(context);
  using walk = new FolderWalk(folders.root(), folders);
  using files = new FilePlacer(context, walk);
  try {
    for await (const batch of selection.entries()) {
      let placed = 0;
      for (const { entry, role } of batch) {
        if (entry.type === 'directory') {
          folders.isSelected = role === 'selected';
          walk.enter(entry);
        } else {
          files.place(walk.parentOf(entry.path), entry);
          placed++;
        }
        const wait = files.room();
        if (wait !== undefined) await wait;
      }
      context.ports.progress.advance({ files: placed });
    }
  } catch (error) {
    await files.idle(); // what is in flight writes through handles that are closed next; its own failure comes first
    throw error;
  }
  walk.end();
  await files.idle();
}

async function flush({ tree }: RestoreContext): Promise<void> {
  try {
    await tree?.flush();
  } catch (error) {
    throw new AgentError(
      'RESTORE_FAILED',
      `what was restored could not be brought to the disk: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

function texts(patterns: readonly PathPattern[]): string {
  return patterns.map(({ text }) => text).join(', ');
}
