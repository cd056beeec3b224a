import { FolderHandle, LibcError, copyRange, nextData, readAheadOf, reflink, serveJobs } from '@bakker/linux';
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { readSync, writeSync } from 'node:fs';
import { SLICE_BYTES } from './content-job.ts';
import { storeFiles } from './store-files.ts';
import type { ContentAnswer, ContentFailure, ContentTask } from './content-job.ts';

/** The program of a thread that copies and hashes content. Memory: one buffer, and a hash for each file under way. */
const hashes = new Map<number, Hash>();
const buffer = Buffer.allocUnsafeSlow(1024 * 1024);

serveJobs((task: ContentTask): ContentAnswer => {
  try {
    return perform(task);
  } catch (error) {
    const failure = asFailure(error);
    if (failure === undefined) throw error;
    return { failure };
  }
});

function perform(task: ContentTask): number | Uint8Array {
  switch (task.kind) {
    case 'share':
      return reflink(task.from, task.to) ? 1 : 0;
    case 'copy':
      return copy(task);
    case 'hash':
      return hash(task);
    case 'digest': {
      const sum = hashes.get(task.hash);
      if (sum === undefined) throw new Error('a hash was lost with the thread that had it');
      hashes.delete(task.hash);
      return sum.digest();
    }
    case 'forget':
      hashes.delete(task.hash);
      return 0;
    case 'store':
      return storeFiles(new FolderHandle(task.root), task);
  }
}

function copy({ from, to, atBytes, endBytes }: ContentTask & { kind: 'copy' }): number {
  const data = nextData(from, atBytes, endBytes);
  if (data === undefined) return endBytes;
  const stop = data.offsetBytes + Math.min(data.lengthBytes, SLICE_BYTES);
  for (let at = data.offsetBytes; at < stop;) {
    const copied =
      copyRange({ fd: from, offsetBytes: at }, { fd: to, offsetBytes: at }, stop - at) ??
      copyByHand({ from, to, at, length: stop - at });
    // Shorter than it was a moment ago: what is missing reads as zeros, and the hash says so.
    if (copied === 0) return endBytes;
    at += copied;
  }
  return stop;
}

function copyByHand(range: { from: number; to: number; at: number; length: number }): number {
  const { from, to, at, length } = range;
  const readBytes = readSync(from, buffer, 0, Math.min(length, buffer.length), at);
  for (let written = 0; written < readBytes;) {
    written += writeSync(to, buffer, written, readBytes - written, at + written);
  }
  return readBytes;
}

function hash({ hash: number, fd, atBytes, endBytes }: ContentTask & { kind: 'hash' }): number {
  let sum = hashes.get(number);
  if (sum === undefined) {
    if (atBytes > 0) throw new Error('a hash was lost with the thread that had it');
    hashes.set(number, (sum = createHash('sha256')));
  }
  const stop = Math.min(endBytes, atBytes + SLICE_BYTES);
  // While this slice is hashed, the disk reads the next.
  if (stop < endBytes) readAheadOf(fd, { offsetBytes: stop, lengthBytes: SLICE_BYTES });
  for (let at = atBytes; at < stop;) {
    const readBytes = readSync(fd, buffer, 0, Math.min(stop - at, buffer.length), at);
    if (readBytes === 0) return at;
    sum.update(buffer.subarray(0, readBytes));
    at += readBytes;
  }
  return stop;
}

/** Undefined for what is neither, which crosses as it is. */
function asFailure(error: unknown): ContentFailure | undefined {
  if (error instanceof LibcError) return { call: error.syscall, errno: -error.errno };
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined;
  return { code: error.code, message: error.message };
}
