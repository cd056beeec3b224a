import { comparePaths, mergeJoin, type Entry, type ManifestHeader, type RunName } from '@bakker/impl-format';
import type { StorageAccount } from '../ports/storage-account.ts';
import { changeOf } from './compare-entries.ts';
import { openManifest } from './open-manifest.ts';

/** One path that two runs differ in. */
export interface Difference {
  readonly path: Buffer;
  readonly change: 'added' | 'removed' | 'content' | 'metadata' | 'moved';
  /** Where a moved path was before. */
  readonly from?: Buffer;
}

/**
 * What changed from one run to the other, in path order. Walks both manifests side by side; holds the differences, and
 * the identity of what was added or removed, because only there a move can be found.
 *
 * @throws AgentError MANIFEST_DAMAGED
 */
export async function diffRuns(
  account: StorageAccount,
  { before, after }: { readonly before: RunName; readonly after: RunName },
): Promise<readonly Difference[]> {
  await using older = await openManifest(account, before);
  await using newer = await openManifest(account, after);
  const differences: Difference[] = [];
  const removed: Candidate[] = [];
  const added: Candidate[] = [];
  for await (const pairs of mergeJoin(older.batches(), newer.batches())) {
    for (const { path, left, right } of pairs) {
      if (left === undefined && right !== undefined) added.push(candidate(right, newer.header));
      else if (left !== undefined && right === undefined) removed.push(candidate(left, older.header));
      else if (left !== undefined && right !== undefined) {
        const change = changeOf(left, right);
        if (change !== undefined) differences.push({ path, change });
      }
    }
  }
  differences.push(...withMoves(removed, added));
  return differences.sort((a, b) => comparePaths(a.path, b.path));
}

interface Candidate {
  readonly path: Buffer;
  /** Same inode of the same file system, with the same size and time: renamed. */
  readonly inode: string;
  /** Same content; undefined where that says nothing. */
  readonly content: string | undefined;
}

function candidate(entry: Entry, { filesystems }: ManifestHeader): Candidate {
  const { path, type, inode, filesystem, sizeBytes, mtimeNs, sha256 } = entry;
  const mountPoint = filesystems[filesystem]?.mountPoint.toString('latin1') ?? '';
  return {
    path,
    inode: `${type} ${inode} ${sizeBytes} ${mtimeNs} ${mountPoint}`,
    content: sizeBytes === 0 ? undefined : sha256?.toString('latin1'),
  };
}

function withMoves(removed: readonly Candidate[], added: readonly Candidate[]): Difference[] {
  const left = new Set(removed);
  const origins = new Map<Candidate, Candidate>();
  for (const keyOf of [(one: Candidate) => one.inode, (one: Candidate) => one.content]) {
    const byKey = Map.groupBy(left, keyOf);
    for (const one of added) {
      const key = keyOf(one);
      if (key === undefined || origins.has(one)) continue;
      const origin = byKey.get(key)?.shift();
      if (origin === undefined) continue;
      origins.set(one, origin);
      left.delete(origin);
    }
  }
  return [
    ...Array.from(left, ({ path }): Difference => ({ path, change: 'removed' })),
    ...added.map((one): Difference => {
      const origin = origins.get(one);
      return origin === undefined
        ? { path: one.path, change: 'added' }
        : { path: one.path, change: 'moved', from: origin.path };
    }),
  ];
}
