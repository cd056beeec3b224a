import { escapeName } from '@bakker/command-line';
import { comparePaths, compareRunNames, isAtOrBelow } from '@bakker/impl-format';
import type { ManifestHeader, RunName, SourceFilesystem } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { Config } from '../config/config.ts';
import type { SourceRules } from '../ports/source-tree.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { StoredRun } from '../ports/storage-account.ts';
import { isBackedUp } from '../source/covered-mounts.ts';
import type { Tally } from './tally.ts';

const ALLOW = 'if this is meant, run bakker backup --allow-empty once';

/**
 * A source that lay on a file system of its own in the parent and now lies on the one above it has lost its mount:
 * what is there is the empty folder below. What is mounted below a source and not backed up may come and go, as containers'
 * file systems do.
 * @throws AgentError SOURCE_SUSPICIOUS
 */
export function refuseLostMounts(options: {
  sources: readonly SourceRules[];
  filesystems: readonly SourceFilesystem[];
  parent: ManifestHeader;
}): void {
  const mounted = new Set(options.filesystems.map(({ mountPoint }) => mountPoint.toString('latin1')));
  for (const { mountPoint } of options.parent.filesystems) {
    if (mounted.has(mountPoint.toString('latin1'))) continue;
    if (!isBackedUp(mountPoint, options.sources)) continue;
    const name = escapeName(mountPoint);
    throw new AgentError(
      'SOURCE_SUSPICIOUS',
      `${name} is not mounted, but it was in run ${options.parent.run}; nothing was published`,
      {
        hint: `mount ${name} and run bakker backup again; ${ALLOW}`,
      },
    );
  }
}

/**
 * Retention never takes the last run: an account without any, where one went before, is not what it was. Mostly its disk is
 * not mounted, and a run would go to the one below.
 * @throws AgentError STORAGE_SUSPICIOUS
 */
export function refuseEmptiedStorage({
  runs,
  address,
  last,
}: {
  runs: readonly StoredRun[];
  address: string;
  last: LastRuns;
}): void {
  if (last.lastSuccess === undefined || last.address !== address) return;
  if (runs.some(({ state }) => state === 'complete')) return;
  throw new AgentError(
    'STORAGE_SUSPICIOUS',
    `${address} holds no run any more, and ${last.lastSuccess.run} went there; nothing was published`,
    { hint: `look whether its disk is mounted there; ${ALLOW}` },
  );
}

/**
 * The last success, if it went to this account and all that is there is older: the storage was put back to an earlier state,
 * or somebody removed the run. Retention never takes the newest.
 *
 * @param runs - complete ones, any order
 */
export function missingLastRun({
  runs,
  address,
  last,
}: {
  runs: readonly RunName[];
  address: string;
  last: LastRuns;
}): RunName | undefined {
  const { lastSuccess } = last;
  if (lastSuccess === undefined || last.address !== address) return undefined;
  return runs.some((run) => compareRunNames(run, lastSuccess.run) >= 0) ? undefined : lastSuccess.run;
}

interface CountedSource {
  readonly path: Buffer;
  now: number;
  before: number;
}

/** Names in each source, counted by the entries that pass, in path order. */
export class SourceCounts {
  /** In path order. */
  readonly #sources: readonly CountedSource[];
  #nextIndex = 0;
  /** Those that hold the entry that passed last, each in the one before it. */
  readonly #around: CountedSource[] = [];

  /** @param sources - absolute paths */
  constructor(sources: readonly Buffer[]) {
    this.#sources = sources
      .map((path) => ({ path: path.subarray(1), now: 0, before: 0 }))
      .toSorted((a, b) => comparePaths(a.path, b.path));
  }

  count(path: Buffer, isNow: boolean, isBefore: boolean): void {
    this.#goTo(path);
    for (const source of this.#around) {
      // once a source has a name it is not empty, and nothing more has to be known
      if (source.now > 0 || path.equals(source.path) || isMadeEmpty(path, source.path)) continue;
      if (isNow) source.now++;
      if (isBefore) source.before++;
    }
  }

  /** @throws AgentError SOURCE_SUSPICIOUS if a source is empty that was not */
  refuseEmptied(parentRun: string): void {
    for (const { path, now, before } of this.#sources) {
      if (before === 0 || now > 0) continue;
      const name = `/${escapeName(path)}`;
      throw new AgentError(
        'SOURCE_SUSPICIOUS',
        `${name} is empty, but held ${before === 1 ? 'one name' : `${before} names`} in run ${parentRun}; nothing was published`,
        { hint: `look whether ${name} is mounted and whole; ${ALLOW}` },
      );
    }
  }

  #goTo(path: Buffer): void {
    for (let last = this.#around.at(-1); last && !isAtOrBelow(path, last.path); last = this.#around.at(-1))
      this.#around.pop();
    for (;;) {
      const next = this.#sources[this.#nextIndex];
      if (next === undefined || comparePaths(next.path, path) > 0) return;
      if (isAtOrBelow(path, next.path)) this.#around.push(next);
      this.#nextIndex++;
    }
  }
}

/** `mkfs` makes this folder in each new ext4: a disk that was replaced holds nothing, and yet a name. What is in it counts. */
function isMadeEmpty(path: Buffer, source: Buffer): boolean {
  const name = source.length === 0 ? path : path.subarray(source.length + 1);
  return name.equals(LOST_AND_FOUND);
}

const LOST_AND_FOUND = Buffer.from('lost+found');

/** Below this many files a share says little. */
const MIN_FILES_FOR_SHARE = 100;

/** Why retention should stand still after this run, if too much was lost or, as ransomware does it, rewritten. */
export function freezeReason(
  tally: Tally,
  { freezeGoneShare, freezeChangedShare }: Pick<Config, 'freezeGoneShare' | 'freezeChangedShare'>,
): string | undefined {
  const { gone, changed } = tally.files;
  const before = tally.beforeCount;
  if (before < MIN_FILES_FOR_SHARE) return undefined;
  if (gone > before * freezeGoneShare) return `${gone} of ${before} files were gone`;
  return changed > before * freezeChangedShare ? `${changed} of ${before} files were rewritten` : undefined;
}
