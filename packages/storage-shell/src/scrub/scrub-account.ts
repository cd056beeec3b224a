import type { RunName } from '@bakker/impl-format/storage';
import type { CheckOutcome, HurtContent, HurtRecord, StoredContent } from '../ports/stored-content.ts';
import { DONE, chooseDue, placeOf } from './choose-due.ts';

export interface ScrubOptions {
  /** Share (0 to 1) of the files to check, oldest check first; 1 for all. */
  readonly share: number;
  /** No file is begun after this long, and none read for much longer; undefined for no end. */
  readonly budgetMs: number | undefined;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

export interface ScrubReport {
  /** Files of the account, each content once. */
  readonly files: number;
  readonly checked: number;
  readonly checkedBytes: number;
  /** Were not read to their end, for want of time: now, or when they were tried last. */
  readonly givenUp: number;
  /** Of those checked, had no checksum so far. */
  readonly noted: number;
  /** Unix milliseconds of the oldest check that is left; null if some file was never checked, or given up. */
  readonly oldestCheckMs: number | null;
  /** All that is known to be hurt, from before as well. */
  readonly hurt: HurtRecord;
  /** Were hurt, and are right again or gone. */
  readonly healed: number;
}

/**
 * Reads stored files again and compares them with what was stored, each inode once, those first whose last check is the
 * oldest, and before them those that were hurt. Cut off anywhere, the next call goes on where it was.
 *
 * @throws StorageError FULL; the signal's reason
 * @see docs/scrub.md
 */
export async function scrubAccount(content: StoredContent, options: ScrubOptions): Promise<ScrubReport> {
  const { nowMs, signal, budgetMs } = options;
  const startedAtMs = nowMs();
  const before = content.hurt();
  const manifests = await content.hurtManifests(signal);
  const inodes = await content.inodes(signal);
  using times = content.checkTimes(inodes);
  for (const { inode } of before?.files ?? []) {
    const place = placeOf(inodes, inode);
    if (place >= 0 && !times.givenUp.has(place)) times.set(place, 0);
  }
  const tally = new Tally(before?.files ?? []);
  const startedAtS = Math.floor(startedAtMs / 1000);
  // A time that is still to come was written by a clock that was wrong.
  for (const [place, timeS] of times.checkedAtS.entries())
    if (timeS > startedAtS) times.checkedAtS[place] = 0;
  let left = Math.ceil(inodes.length * options.share);
  const roundSize =
    budgetMs === undefined ? left : Math.max(LEAST_A_ROUND, Math.ceil(inodes.length / ROUNDS));
  const isOver = (budgets = 1): boolean =>
    budgetMs !== undefined && nowMs() - startedAtMs >= budgetMs * budgets;
  while (left > 0 && !isOver()) {
    const { due, count } = chooseDue(times.checkedAtS, Math.min(left, roundSize));
    if (count === 0) break;
    left -= count;
    await content.check({
      signal,
      isWanted: (inode) => due[placeOf(inodes, inode)] === 1,
      // Of what somebody stored, more is read than in time, or the largest files would never be. Holes cost nobody anything.
      goesOn: (isMostlyHole) => !isOver(isMostlyHole ? 1 : MOST_BUDGETS_A_FILE),
      checked: (inode, outcome, sizeBytes) => {
        const place = placeOf(inodes, inode);
        due[place] = 0;
        tally.add(inode, outcome, sizeBytes);
        // On the disk, what is hurt stays first in line: should this scrub die, the next one finds it again. What was given
        // up comes last, or nothing else would have its turn.
        times.set(place, typeof outcome === 'object' ? 0 : startedAtS, { isGivenUp: outcome === 'given-up' });
        times.checkedAtS[place] = DONE;
        return !isOver();
      },
    });
    // What was not met any more went with its run.
    if (!isOver())
      for (const [place, isLeft] of due.entries()) if (isLeft === 1) times.checkedAtS[place] = DONE;
  }
  const stillThere = tally.hurt.filter(({ inode }) => placeOf(inodes, inode) >= 0);
  const hurt = await nameHurt(content, { hurt: stillThere, manifests, nowMs: nowMs(), signal });
  await content.saveHurt(hurt);
  return {
    ...tally.figures,
    files: inodes.length,
    givenUp: times.givenUp.size,
    oldestCheckMs: times.givenUp.size > 0 ? null : oldestMs(times.checkedAtS, startedAtS),
    hurt,
    healed: healed(before, hurt),
  };
}

const ROUNDS = 20;
const LEAST_A_ROUND = 4_096;
/** So many times the budget, and no file is read any more. */
const MOST_BUDGETS_A_FILE = 8;
/** What `hurt.json` holds: a disk with more damage is none to build on. Newer runs' names are told first. */
const MOST_HURT = 50_000;
const MOST_NAMES = 100_000;

class Tally {
  readonly #hurt = new Map<number, HurtContent>();
  #checked = 0;
  #checkedBytes = 0;
  #noted = 0;

  constructor(before: readonly HurtContent[]) {
    for (const { inode, sha256, found } of before) this.#hurt.set(inode, { inode, sha256, found });
  }

  get hurt(): HurtContent[] {
    return [...this.#hurt.values()].sort((a, b) => a.inode - b.inode);
  }

  get figures(): { checked: number; checkedBytes: number; noted: number } {
    return { checked: this.#checked, checkedBytes: this.#checkedBytes, noted: this.#noted };
  }

  add(inode: number, outcome: CheckOutcome, sizeBytes: number): void {
    // Nothing new is known of it.
    if (outcome === 'given-up') return;
    if (typeof outcome === 'object') this.#hurt.set(inode, outcome);
    else this.#hurt.delete(inode);
    if (outcome === 'gone') return;
    this.#checked++;
    this.#checkedBytes += sizeBytes;
    if (outcome === 'noted') this.#noted++;
  }
}

async function nameHurt(
  content: StoredContent,
  found: { hurt: readonly HurtContent[]; manifests: readonly RunName[]; nowMs: number; signal: AbortSignal },
): Promise<HurtRecord> {
  const { manifests, nowMs, signal } = found;
  const hurt = found.hurt.slice(0, MOST_HURT);
  const names =
    hurt.length === 0 ? [] : await content.namesOf(new Set(hurt.map(({ inode }) => inode)), signal);
  const byInode = Map.groupBy(names.slice(-MOST_NAMES), ({ inode }) => inode);
  const files = hurt.flatMap((file) => {
    const known = byInode.get(file.inode) ?? [];
    // Its last name went meanwhile.
    return known.length === 0 ? [] : [{ ...file, names: known.map(({ run, path }) => ({ run, path })) }];
  });
  return { atMs: nowMs, manifests, files };
}

function healed(before: HurtRecord | undefined, now: HurtRecord): number {
  const hurt = new Set(now.files.map(({ inode }) => inode));
  return (before?.files ?? []).filter(({ inode }) => !hurt.has(inode)).length;
}

function oldestMs(checkedAtS: Uint32Array, startedAtS: number): number | null {
  let oldestS = startedAtS;
  for (const timeS of checkedAtS) oldestS = Math.min(oldestS, timeS);
  return oldestS === 0 ? null : oldestS * 1000;
}
