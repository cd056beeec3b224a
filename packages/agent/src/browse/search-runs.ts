import { baseName, comparePaths, type Entry, type ManifestReader, type RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { Hit } from '../ports/findings.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { literalPaths } from '../restore/path-pattern.ts';
import { wildmatch } from '../source/wildmatch.ts';
import { changeOf } from './compare-entries.ts';
import { openAhead } from './open-ahead.ts';

/**
 * Paths that match: a pattern without a slash is a name; with one, a path from `/` on, or if it does not begin with a
 * slash, the end of one. Yields run by run in path order. Each manifest is read once.
 *
 * @param onUnread - told of each run whose manifest is damaged, or sealed to other keys; the others are searched
 * @throws AgentError KEY_WRONG if no run could be searched, for want of a key
 */
export async function* findInRuns(
  account: StorageAccount,
  options: {
    readonly runs: readonly RunName[];
    readonly pattern: string;
    readonly signal: AbortSignal;
    readonly onUnread: (error: AgentError) => void;
  },
): AsyncGenerator<Hit> {
  const matches = matcher(options.pattern);
  const unread: AgentError[] = [];
  for await (const { run, manifest: opening } of openAhead(account, options.runs)) {
    try {
      await using manifest = await opening;
      for await (const batch of manifest.batches()) {
        if (options.signal.aborted) throw new AgentError('INTERRUPTED', 'the search was interrupted');
        for (const entry of batch) if (matches(entry.path)) yield { run, entry };
      }
    } catch (error) {
      unread.push(mustBeUnread(error));
    }
  }
  refuseAllUnread(unread, options.runs);
  unread.forEach(options.onUnread);
}

/** Damage stops no search, nor that keys change over the years: those of the oldest run may be in a safe, or lost. */
function mustBeUnread(error: unknown): AgentError {
  if (error instanceof AgentError && (error.code === 'MANIFEST_DAMAGED' || error.code === 'KEY_WRONG'))
    return error;
  throw error;
}

function refuseAllUnread(unread: readonly AgentError[], runs: readonly RunName[]): void {
  const wrong = unread.find(({ code }) => code === 'KEY_WRONG');
  if (wrong !== undefined && unread.length === runs.length) throw wrong;
}

/** A path in one run, against the run before that had it. */
export interface HistoryStep {
  readonly run: RunName;
  readonly change: 'first' | 'content' | 'metadata' | 'same' | 'absent' | 'damaged' | 'unopened';
  readonly entry: Entry | undefined;
}

/**
 * A path through the runs, as given. Reads each manifest no further than the path.
 *
 * @throws AgentError KEY_WRONG if no run could be looked into, for want of a key
 */
export async function historyOf(
  account: StorageAccount,
  {
    runs,
    path,
    signal,
  }: { readonly runs: readonly RunName[]; readonly path: string; readonly signal: AbortSignal },
): Promise<readonly HistoryStep[]> {
  const candidates = literalPaths(path);
  const steps: HistoryStep[] = [];
  const unread: AgentError[] = [];
  let before: Entry | undefined;
  for await (const { run, manifest: opening } of openAhead(account, runs)) {
    try {
      await using manifest = await opening;
      if (signal.aborted) throw new AgentError('INTERRUPTED', 'the search was interrupted');
      const entry = await entryIn(manifest, candidates);
      steps.push({ run, entry, change: stepOf(before, entry) });
      before = entry ?? before;
    } catch (error) {
      unread.push(mustBeUnread(error));
      const change = unread.at(-1)?.code === 'KEY_WRONG' ? 'unopened' : 'damaged';
      steps.push({ run, entry: undefined, change });
    }
  }
  refuseAllUnread(unread, runs);
  return steps;
}

function stepOf(before: Entry | undefined, entry: Entry | undefined): HistoryStep['change'] {
  if (entry === undefined) return 'absent';
  return before === undefined ? 'first' : (changeOf(before, entry) ?? 'same');
}

async function entryIn(manifest: ManifestReader, candidates: readonly Buffer[]): Promise<Entry | undefined> {
  for await (const batch of manifest.batches()) {
    for (const entry of batch) {
      if (candidates.some((candidate) => candidate.equals(entry.path))) return entry;
      if (candidates.every((candidate) => comparePaths(entry.path, candidate) > 0)) return undefined;
    }
  }
  return undefined;
}

function matcher(pattern: string): (path: Buffer) => boolean {
  if (!pattern.includes('/')) {
    const glob = Buffer.from(pattern);
    return (path) => {
      const name = baseName(path);
      return glob.equals(name) || wildmatch(glob, name);
    };
  }
  const text = pattern.startsWith('/') ? pattern.replace(/^\/+/, '') : `**/${pattern}`;
  const glob = Buffer.from(text.replace(/\/+$/, ''));
  return (path) => glob.equals(path) || wildmatch(glob, path);
}
