import type { SftpClient } from './client.ts';
import type { Handle } from './replies.ts';
import { OPEN } from './protocol.ts';

/**
 * A whole file in one Buffer. With a true `sizeHint` all reads leave together, and a small file takes two round trips;
 * a file of another length is read to its end all the same.
 *
 * @param sizeHint - bytes expected
 * @throws SftpStatusError if it can't be opened or read, SftpConnectionError
 */
export async function readAll(client: SftpClient, path: Buffer, sizeHint = 0): Promise<Buffer> {
  const handle = await client.open(path, OPEN.READ);
  try {
    const pieces = await readHinted(client, handle, sizeHint);
    let offset = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (offset !== sizeHint) {
      for (;;) {
        const piece = await client.read(handle, offset, READ_BYTES);
        if (piece.length === 0) break;
        pieces.push(piece);
        offset += piece.length;
      }
    }
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
  } finally {
    // Not waited for: it saves a round trip, and requests after it are answered after it.
    client.close(handle).catch(() => undefined);
  }
}

/** Small enough for any server. */
const READ_BYTES = 128 * 1024;
const READS_IN_FLIGHT = 16;

/** The start of the file without a gap: all of it if it is `sizeHint` long and the server gave what was asked. */
async function readHinted(client: SftpClient, handle: Handle, sizeHint: number): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  let asked = 0;
  while (asked <= sizeHint) {
    const replies: Promise<Buffer>[] = [];
    const wanted: number[] = [];
    // One byte more than expected shows whether the file goes on.
    for (; asked <= sizeHint && replies.length < READS_IN_FLIGHT; asked += READ_BYTES) {
      const length = Math.min(READ_BYTES, sizeHint + 1 - asked);
      wanted.push(length);
      replies.push(client.read(handle, asked, length));
    }
    for (const [index, piece] of (await Promise.all(replies)).entries()) {
      if (piece.length > 0) pieces.push(piece);
      if (piece.length < (wanted[index] ?? 0)) return pieces;
    }
  }
  return pieces;
}
