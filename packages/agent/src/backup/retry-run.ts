import { AgentError } from '../errors.ts';
import { MissingFromStorage, RunDiffers, StoredOtherwise } from '../ports/storage-account.ts';
import { isLineLost, RECONNECT_AFTER_MS, sleep } from '../reconnecting.ts';
import { attemptRun } from './attempt-run.ts';
import type { Way } from './attempt-run.ts';
import type { BackupOptions, BackupPorts } from './backup-options.ts';
import { ParentDamaged } from './begin-run.ts';
import { FilesDone } from './files-done.ts';
import type { FreezingOfRun } from './freezing-of-run.ts';
import { secondsSince } from './seconds-since.ts';
import { Brought } from './tally.ts';
import type { WrittenRun } from './write-run.ts';

/**
 * Makes attempts at a run until one is published. A cut connection is opened again; what the storage turned out to have lost, or to
 * have otherwise, is told, and found or sent anew.
 *
 * @throws AgentError; what freezing explains of it
 */
export async function untilUncut(
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
    begunMs ??= performance.now();
    if (!options.dryRun) ports.onBegin?.();
  };
  const { reconnectAfterMs = RECONNECT_AFTER_MS } = options;
  let isFirst = true;
  let cuts = 0;
  let furthest = 0;
  for (;;) {
    const progress = new FilesDone(ports.progress);
    try {
      const written = await attemptRun(
        options,
        { ...ports, progress },
        { isFirst, damaged, onBegin, way, freezing, brought },
      );
      const { report } = written;
      const seconds = isFirst || begunMs === undefined ? report.seconds : secondsSince(begunMs);
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
