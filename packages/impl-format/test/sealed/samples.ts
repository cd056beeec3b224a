import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { generatePrivateKey, Keyring, publicKeyOf, Sealer, SealedError } from '../../src/sealed/index.ts';
import { openSealedManifest, openSealedPieces } from '../../src/sealed/index.ts';
import type { PrivateKey, StridedSealer } from '../../src/sealed/index.ts';

export const CHUNK_BYTES = 65_536;
/** Of a chunk of a packed file. */
export const TAG_BYTES = 16;
/** Of a record of a strided file. */
export const RECORD_OVERHEAD_BYTES = 35;

/** A private key, what seals to it and what opens that. */
export function makeWorld(): { privateKey: PrivateKey; sealer: Sealer; keyring: Keyring } {
  const privateKey = generatePrivateKey();
  return { privateKey, sealer: new Sealer([publicKeyOf(privateKey)]), keyring: new Keyring([privateKey]) };
}

/** A content as a server may seal it, in each of the forms that there are. */
export function asContents(sealer: Sealer, content: Buffer): Record<string, Buffer> {
  const [plain, compressed] = [sealer.sealStream(), sealer.sealStream('zstd')];
  return {
    packed: Buffer.concat([...plain.push(content), ...plain.finish()]),
    compressed: Buffer.concat([...compressed.push(zstdCompressSync(content)), ...compressed.finish()]),
    strided: new StridedFile().writeAll(sealer.strided(content.length), content).bytes,
  };
}

/** Everything that was given out, and what stopped it. */
export interface Opened {
  readonly given: Buffer;
  readonly error: unknown;
}

/** Opens a content as a stream of pieces of `pieceBytes`. */
export async function openBytes(sealed: Buffer, keyring: Keyring, pieceBytes = 50_000): Promise<Opened> {
  const given: Buffer[] = [];
  try {
    for await (const piece of openSealedPieces(inPieces(sealed, pieceBytes), keyring)) {
      given.push(piece.kind === 'data' ? piece.data : Buffer.alloc(piece.lengthBytes));
    }
  } catch (error) {
    return { given: Buffer.concat(given), error };
  }
  return { given: Buffer.concat(given), error: undefined };
}

/** Opens a manifest in the same way. */
export async function openManifest(sealed: Buffer, keyring: Keyring, pieceBytes = 50_000): Promise<Opened> {
  const given: Buffer[] = [];
  try {
    for await (const piece of openSealedManifest(inPieces(sealed, pieceBytes), keyring)) given.push(piece);
  } catch (error) {
    return { given: Buffer.concat(given), error };
  }
  return { given: Buffer.concat(given), error: undefined };
}

/**
 * Why altered bytes were not refused rightly; undefined if they were: an error of ours, and before it nothing but the true
 * content from its start.
 */
export function refusalFault({ given, error }: Opened, content: Buffer): string | undefined {
  if (!(error instanceof SealedError)) return `not refused: ${String(error)}`;
  if (!content.subarray(0, given.length).equals(given))
    return `gave out what is not true, then ${error.code}`;
  return undefined;
}

export async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** A strided file in memory, written at its offsets as a storage would. */
export class StridedFile {
  bytes: Buffer = Buffer.alloc(0);

  write(offset: number, bytes: Buffer): void {
    if (this.bytes.length < offset + bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(offset + bytes.length - this.bytes.length)]);
    }
    bytes.copy(this.bytes, offset);
  }

  /** Seals all of `content` as data. */
  writeAll(sealer: StridedSealer, content: Buffer): this {
    const count = Math.ceil(content.length / CHUNK_BYTES);
    for (let index = 0; index < count; index++) this.writeChunk(sealer, content, index);
    this.write(0, sealer.header(content.length));
    return this;
  }

  writeChunk(sealer: StridedSealer, content: Buffer, index: number): void {
    const data = content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    const isLast = (index + 1) * CHUNK_BYTES >= content.length;
    this.write(sealer.offset(index), sealer.sealChunk({ index, isLast }, data));
  }

  readAt = async (offset: number, length: number): Promise<Buffer> =>
    this.bytes.subarray(offset, offset + length);
}

export function randomContent(sizeBytes: number): Buffer {
  return randomBytes(sizeBytes);
}

/** Text that becomes much smaller. */
export function textContent(sizeBytes: number): Buffer {
  return Buffer.from('all that is the same is the same; '.repeat(Math.ceil(sizeBytes / 34))).subarray(
    0,
    sizeBytes,
  );
}

/** Changes one bit of `bytes` while `look` runs. */
export async function withFlippedBit<Result>(
  bytes: Buffer,
  bit: number,
  look: () => Promise<Result>,
): Promise<Result> {
  const at = bit >> 3;
  const mask = 1 << (bit & 7);
  bytes[at] = (bytes[at] ?? 0) ^ mask;
  try {
    return await look();
  } finally {
    bytes[at] = (bytes[at] ?? 0) ^ mask;
  }
}
