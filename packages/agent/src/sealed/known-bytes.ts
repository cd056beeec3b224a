import { createHash } from 'node:crypto';

/** What is held until it is known to be true. */
const BLOCK_BYTES = 1024 * 1024;

/** Read bytes are not those that they should be. */
export class OtherBytes extends Error {
  override readonly name = 'OtherBytes';
}

/**
 * Bytes whose SHA-256 is known, from somebody who may show others: all are looked at before the first is given out, and none of
 * a second look is that is not what the first one saw. So whoever stops early has not been lied to either. Holds 1 MiB, and 64
 * bytes for each; what is not longer is read once.
 *
 * @param read - starts to read them from the beginning
 * @throws OtherBytes; what `read` throws
 */
export async function* knownBytes(read: () => AsyncIterable<Buffer>, sha256: string): AsyncGenerator<Buffer> {
  const digests: string[] = [];
  let only: readonly Buffer[] = [];
  for await (const { pieces, digest } of blocks(read())) {
    only = digests.length === 0 ? pieces : [];
    digests.push(digest);
  }
  if (digests.at(-1) !== sha256) throw new OtherBytes('they are others');
  if (digests.length === 1) {
    yield* only;
    return;
  }
  let index = 0;
  for await (const { pieces, digest } of blocks(read())) {
    if (digest !== digests[index++]) throw new OtherBytes('they are others when they are read again');
    yield* pieces;
  }
}

interface Block {
  readonly pieces: readonly Buffer[];
  /** Of all bytes up to its end. */
  readonly digest: string;
}

/** At least one; the last is shorter than the others, or empty. */
async function* blocks(source: AsyncIterable<Buffer>): AsyncGenerator<Block> {
  const hash = createHash('sha256');
  let pieces: Buffer[] = [];
  let freeBytes = BLOCK_BYTES;
  for await (const piece of source) {
    for (let rest = piece; rest.length > 0;) {
      const part = rest.subarray(0, freeBytes);
      rest = rest.subarray(part.length);
      hash.update(part);
      pieces.push(part);
      freeBytes -= part.length;
      if (freeBytes > 0) continue;
      yield { pieces, digest: hash.copy().digest('hex') };
      pieces = [];
      freeBytes = BLOCK_BYTES;
    }
  }
  yield { pieces, digest: hash.digest('hex') };
}
