import type { Extent } from '@bakker/impl-format';
import type { Handle, SftpClient } from '@bakker/sftp';

/** Reads, or writes, of one file that are under way at once. */
export const PIECES_IN_FLIGHT = 16;

/**
 * An extent of an open file in order, several reads ahead. A short read is asked again from where it ended, and an empty
 * one is the end.
 */
export async function* readAhead(
  client: SftpClient,
  handle: Handle,
  { extent, maxReadBytes }: { extent: Extent; maxReadBytes: number },
): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
  const endBytes = extent.offsetBytes + extent.lengthBytes;
  const ahead: { offset: number; length: number; bytes: Promise<Buffer> }[] = [];
  let next = extent.offsetBytes;
  const ask = (offset: number, length: number) => {
    const bytes = client.read(handle, offset, length);
    bytes.catch(() => undefined); // awaited below, in order
    return { offset, length, bytes };
  };
  for (;;) {
    while (ahead.length < PIECES_IN_FLIGHT && next < endBytes) {
      const length = Math.min(maxReadBytes, endBytes - next);
      ahead.push(ask(next, length));
      next += length;
    }
    const head = ahead.shift();
    if (!head) return;
    const bytes = await head.bytes;
    if (bytes.length === 0) return;
    yield { offsetBytes: head.offset, bytes };
    if (bytes.length < head.length)
      ahead.unshift(ask(head.offset + bytes.length, head.length - bytes.length));
  }
}
