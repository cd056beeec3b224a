import { mergeJoin, type Entry, type ManifestHeader, type RunName } from '@bakker/impl-format';
import type { Differences, Identity } from '../ports/findings.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { changeOf } from './compare-entries.ts';
import { openManifest } from './open-manifest.ts';

/**
 * Adds what changed from one run to the other, in path order. Walks both manifests side by side; what was added or removed
 * goes with its identity, because only there a move can be found.
 *
 * @throws AgentError MANIFEST_DAMAGED
 */
export async function diffRuns(
  account: StorageAccount,
  {
    before,
    after,
    differences,
  }: { readonly before: RunName; readonly after: RunName; readonly differences: Differences },
): Promise<void> {
  await using older = await openManifest(account, before);
  await using newer = await openManifest(account, after);
  for await (const pairs of mergeJoin(older.batches(), newer.batches())) {
    for (const { path, left, right } of pairs) {
      if (left === undefined && right !== undefined)
        differences.addLone(path, 'added', identityOf(right, newer.header));
      else if (left !== undefined && right === undefined)
        differences.addLone(path, 'removed', identityOf(left, older.header));
      else if (left !== undefined && right !== undefined) {
        const change = changeOf(left, right);
        if (change !== undefined) differences.add(path, change);
      }
    }
  }
  differences.findMoves();
}

function identityOf(entry: Entry, { filesystems }: ManifestHeader): Identity {
  const { type, inode, filesystem, sizeBytes, mtimeNs, sha256 } = entry;
  const mountPoint = filesystems[filesystem]?.mountPoint.toString('latin1') ?? '';
  return {
    inode: `${type} ${inode} ${sizeBytes} ${mtimeNs} ${mountPoint}`,
    content: sizeBytes === 0 ? undefined : sha256?.toString('base64'),
  };
}
