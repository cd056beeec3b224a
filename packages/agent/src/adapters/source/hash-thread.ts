import { parentPort } from 'node:worker_threads';
import { ContentHash } from '../../backup/content-hash.ts';

/** What is sent to this thread: a piece of a file, or that there are no more. Memory goes along, and comes back. */
export type HashOrder =
  | { readonly file: number; readonly offsetBytes: number; readonly bytes: Uint8Array }
  | { readonly file: number; readonly sizeBytes: number }
  | { readonly file: number; readonly isGivenUp: true };

/** What is answered to all but the last, in order. */
export type HashAnswer = { readonly bytes: Uint8Array } | { readonly sha256: Uint8Array };

if (parentPort !== null) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const hashes = new Map<number, ContentHash>();
  port.on('message', (order: HashOrder) => {
    const hash = hashes.get(order.file) ?? new ContentHash();
    hashes.set(order.file, hash);
    if ('bytes' in order) {
      const { bytes } = order;
      hash.update(order.offsetBytes, bytes);
      port.postMessage({ bytes } satisfies HashAnswer, [bytes.buffer as ArrayBuffer]);
      return;
    }
    hashes.delete(order.file);
    if ('sizeBytes' in order) port.postMessage({ sha256: hash.finish(order.sizeBytes) } satisfies HashAnswer);
  });
}
