import { serveJobs } from '@bakker/linux';
import { ContentHash } from '../../backup/content-hash.ts';

/** What is sent to this thread: a piece of a file, or that there are no more. Memory goes along, and comes back. */
export type HashOrder =
  | { readonly file: number; readonly offsetBytes: number; readonly bytes: Uint8Array }
  | { readonly file: number; readonly sizeBytes: number }
  | { readonly file: number; readonly isGivenUp: true };

/** What is answered; to the last, nothing. */
export type HashAnswer = { readonly bytes: Uint8Array } | { readonly sha256: Uint8Array } | undefined;

const hashes = new Map<number, ContentHash>();

serveJobs(
  (order: HashOrder): HashAnswer => {
    const hash = hashes.get(order.file) ?? new ContentHash();
    hashes.set(order.file, hash);
    if ('bytes' in order) {
      hash.update(order.offsetBytes, order.bytes);
      return { bytes: order.bytes };
    }
    hashes.delete(order.file);
    return 'sizeBytes' in order ? { sha256: hash.finish(order.sizeBytes) } : undefined;
  },
  (answer) => (answer && 'bytes' in answer ? [answer.bytes.buffer as ArrayBuffer] : []),
);
