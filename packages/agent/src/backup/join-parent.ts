import { comparePaths, UnchangedLines } from '@bakker/impl-format';
import type { Entry, JoinedPair } from '@bakker/impl-format';
import type { ParentEntries, Passed } from './earlier-entries.ts';

const BATCH_LENGTH = 1024;

/** What scan and parent say of one path, or lines of the parent's that the scan found to be true again. */
export type Joined = JoinedPair<Entry> | UnchangedLines;

/**
 * Joins a scan with the parent's entries that it went along: every path of either once, in order, in batches of about a
 * thousand. A batch also ends where more of the parent had to be read: its lines may be large, and only what was read of them
 * ahead is held. Ends only when the parent's manifest was found whole.
 */
export async function* joinParent(
  scan: AsyncIterable<readonly Entry[]>,
  parent: ParentEntries | undefined,
): AsyncGenerator<readonly Joined[]> {
  let joined: Joined[] = [];
  for await (const batch of scan) {
    for (const left of batch) {
      let right: Entry | undefined;
      while (parent !== undefined && right === undefined) {
        const step = parent.next(left.path);
        const before = step instanceof Promise ? await step : step;
        if (step instanceof Promise && joined.length > 0) {
          yield joined;
          joined = [];
        }
        if (before === undefined) break;
        if (!(before instanceof UnchangedLines) && comparePaths(before.path, left.path) === 0) right = before;
        else joined.push(alone(before));
        if (joined.length < BATCH_LENGTH) continue;
        yield joined;
        joined = [];
      }
      joined.push({ path: left.path, left, right });
    }
    for (const before of parent?.restOfSlice() ?? []) joined.push(alone(before));
    if (joined.length > 0) yield joined;
    joined = [];
  }
  while (parent !== undefined) {
    const step = parent.next(undefined);
    const before = step instanceof Promise ? await step : step;
    if (step instanceof Promise && joined.length > 0) {
      yield joined;
      joined = [];
    }
    if (before === undefined) break;
    joined.push(alone(before));
    if (joined.length < BATCH_LENGTH) continue;
    yield joined;
    joined = [];
  }
  if (joined.length > 0) yield joined;
}

function alone(before: Passed): Joined {
  return before instanceof UnchangedLines ? before : { path: before.path, left: undefined, right: before };
}
