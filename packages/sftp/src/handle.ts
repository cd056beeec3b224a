import type { Handle } from './replies.ts';

/**
 * A handle that a verb of the server's gave, for `write`, `close` and the like.
 *
 * @param bytes - as the server gave them; copied
 * @param path - what it stands for, in messages
 */
export function handleOf(bytes: Buffer, path: Buffer): Handle {
  if (bytes.length === 0 || bytes.length > MAX_HANDLE_BYTES)
    throw new RangeError(`no handle has ${bytes.length} bytes`);
  return { bytes: Buffer.from(bytes), path };
}

/** The draft's limit. */
export const MAX_HANDLE_BYTES = 256;
