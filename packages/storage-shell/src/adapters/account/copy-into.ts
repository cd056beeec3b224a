import { ftruncateSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { ContentThread } from '../content/content-thread.ts';
import { SLICE_BYTES } from '../content/content-job.ts';
import { inBlocks } from '../tree/inode-use.ts';
import type { FileCharge } from './file-charge.ts';

/** A file that is to be copied, open for reading. Whoever copies it closes it. */
export interface CopySource extends Disposable {
  readonly fd: number;
  /** So much of it, from its start; not more than there is. */
  readonly takenBytes: number;
  /** What all of it takes on the disk. */
  readonly allocatedBytes: number;
}

/**
 * Makes an empty file hold the first bytes of another: by sharing its blocks, or else by a copy inside the kernel that leaves
 * holes where they are. A thread does it; space is looked at before, and before each slice.
 *
 * @returns the size that the file has now, and whether its blocks are those of the other
 * @throws StorageError FULL, QUOTA, INTERRUPTED when the client has gone; errno errors
 */
export async function copyInto(
  target: { readonly fd: number; readonly charge: FileCharge },
  { fd: from, takenBytes, allocatedBytes }: CopySource,
  { copier, signal }: { readonly copier: ContentThread; readonly signal: AbortSignal },
): Promise<{ sizeBytes: number; isShared: boolean }> {
  if (takenBytes === 0) return { sizeBytes: 0, isShared: false };
  const { fd: to, charge } = target;
  const blockBytes = Math.min(allocatedBytes, inBlocks(takenBytes));
  charge.checkShared(blockBytes);
  if ((await copier.count({ kind: 'share', from, to })) === 1) {
    charge.shared(blockBytes);
    ftruncateSync(to, takenBytes);
    if (signal.aborted) throw gone();
    return { sizeBytes: takenBytes, isShared: true };
  }
  charge.check(blockBytes);
  for (let atBytes = 0; atBytes < takenBytes;) {
    if (signal.aborted) throw gone();
    const sliceBytes = Math.min(SLICE_BYTES, blockBytes, takenBytes - atBytes);
    charge.write(sliceBytes, takenBytes);
    atBytes = await copier.count({ kind: 'copy', from, to, atBytes, endBytes: takenBytes });
  }
  ftruncateSync(to, takenBytes);
  charge.settle(takenBytes);
  return { sizeBytes: takenBytes, isShared: false };
}

function gone(): StorageError {
  return new StorageError('INTERRUPTED', 'the client has gone');
}
