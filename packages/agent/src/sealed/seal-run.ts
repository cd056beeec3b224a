import {
  formatKeyId,
  readShortStridedHeader,
  SealedError,
  Sealer,
  STRIDED_FROM_BYTES,
} from '@bakker/impl-format/sealed';
import type { PublicKey } from '@bakker/impl-format/sealed';
import { PackedFile } from './packed-file.ts';
import type { Sealing } from './sealing.ts';
import { StridedFile } from './strided-file.ts';
import { StridedPatch } from './strided-patch.ts';
import { stages } from '../timings/stages.ts';

/** What one request takes, on every storage. */
const REQUEST_BYTES = 255 * 1024;

/**
 * Draws the key of a run, and seals with it. Milliseconds.
 *
 * @param recipients - 1 to 32, no two alike
 * @param options - `stridedFromBytes`: files that are larger can be changed later
 */
export function sealRun(
  recipients: readonly PublicKey[],
  { stridedFromBytes }: { stridedFromBytes: number } = { stridedFromBytes: STRIDED_FROM_BYTES },
): Sealing {
  const sealer = new Sealer(recipients);
  return {
    recipients: recipients.map(formatKeyId).sort(),
    wholeBytes: 2 * REQUEST_BYTES - sealer.packedSizeBytes(REQUEST_BYTES),
    whole: (content) => stages.doing('seal', () => sealer.sealSmall(content)),
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
      const stream = sealer.sealStream();
      for await (const piece of clear) yield* stream.push(piece);
      yield* stream.finish();
    },
  };
}
