import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { FormatProblem } from '../errors.ts';
import { MAX_SCRIPT_BYTES } from './protocol.ts';

const PLAIN = 0;
const ZSTD = 1;
/** Shorter ones don't gain by it. */
const WORTH_COMPRESSING_BYTES = 512;
/** No frame of a script has a larger window, so nobody can make the other side provide for one. */
const MAX_WINDOW_LOG = 20;

/** Says in a first byte how the rest is packed. */
export function packBody(script: Buffer): Buffer {
  if (script.length > WORTH_COMPRESSING_BYTES) {
    const compressed = zstdCompressSync(script, {
      params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: MAX_WINDOW_LOG },
    });
    if (compressed.length < script.length) return Buffer.concat([Buffer.of(ZSTD), compressed]);
  }
  return Buffer.concat([Buffer.of(PLAIN), script]);
}

/** @throws FormatProblem MALFORMED for another first byte, damage, or more than 1 MiB */
export function unpackBody(body: Buffer): Buffer {
  const packing = body[0];
  const packed = body.subarray(1);
  if (packing === PLAIN) {
    if (packed.length > MAX_SCRIPT_BYTES) throw tooLong();
    return packed;
  }
  if (packing !== ZSTD) throw new FormatProblem('MALFORMED', 'the script is packed in an unknown way');
  try {
    return zstdDecompressSync(packed, {
      maxOutputLength: MAX_SCRIPT_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
    });
  } catch (error) {
    if (error instanceof RangeError) throw tooLong();
    throw new FormatProblem('MALFORMED', `the script can't be unpacked (${messageOf(error)})`);
  }
}

function tooLong(): FormatProblem {
  return new FormatProblem('MALFORMED', `a script has at most ${MAX_SCRIPT_BYTES} bytes`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
