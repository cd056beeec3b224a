import {
  formatKeyId,
  readShortStridedHeader,
  SealedError,
  Sealer,
  STRIDED_FROM_BYTES,
} from '@bakker/impl-format/sealed';
import type { PublicKey } from '@bakker/impl-format/sealed';
import type { SealingThreads } from '../ports/sealing-threads.ts';
import { PackedFile } from './packed-file.ts';
import type { Sealing } from './sealing.ts';
import { StridedFile } from './strided-file.ts';
import { StridedPatch } from './strided-patch.ts';

/** What one request takes, on every storage. */
const REQUEST_BYTES = 255 * 1024;

export interface SealRunOptions {
  readonly threads: SealingThreads;
  /** Whether the SHA-256 of small contents as they are stored is wanted. */
  readonly isHashed: boolean;
  /** Files that are larger can be changed later. */
  readonly stridedFromBytes?: number;
}

/** Draws the key of a run, and seals with it. Milliseconds. @param recipients - 1 to 32, no two alike */
export function sealRun(
  recipients: readonly PublicKey[],
  { threads, isHashed, stridedFromBytes = STRIDED_FROM_BYTES }: SealRunOptions,
): Sealing {
  const sealer = new Sealer(recipients);
  const small = threads.sealing(sealer.runKey, { isHashed });
  return {
    recipients: recipients.map(formatKeyId).sort(),
    wholeBytes: 2 * REQUEST_BYTES - sealer.packedSizeBytes(REQUEST_BYTES),
    whole: (content) => small.seal(content),
    recycle: (bytes) => small.recycle(bytes),
    file: (sink, { sizeBytes, isHashed }) =>
      sizeBytes < stridedFromBytes
        ? new PackedFile(sealer, sink, { sizeBytes, isHashed })
        : new StridedFile(sealer.strided(sizeBytes), sink, { sizeBytes, isHashed }),
    patch(header) {
      if (header === undefined) return undefined;
      try {
        return new StridedPatch(sealer.continueStrided(readShortStridedHeader(header)));
      } catch (error) {
        if (error instanceof SealedError) return undefined;
        throw error;
      }
    },
    async *manifest(clear) {
      const stream = sealer.sealManifest();
      for await (const piece of clear) yield* stream.push(piece);
      yield* stream.finish();
    },
    [Symbol.asyncDispose]: () => small[Symbol.asyncDispose](),
  };
}
