import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

/** What does not decompress: `damaged` is no frame, `too long` has more content than was allowed. */
export type Undecompressed = 'damaged' | 'too long';

type Context = object;

interface Library {
  ZSTD_createCCtx(): Context | null;
  ZSTD_createDCtx(): Context | null;
  /** Sizes; errors below zero. */
  ZSTD_compressCCtx(
    context: Context,
    target: Buffer,
    targetBytes: number,
    content: Buffer,
    contentBytes: number,
    level: number,
  ): number;
  ZSTD_decompressDCtx(
    context: Context,
    target: Buffer,
    targetBytes: number,
    frame: Buffer,
    frameBytes: number,
  ): number;
}

const LEVEL = 1;
const LEAST_SCRATCH_BYTES = 64 * 1024;
/** `ZSTD_error_dstSize_tooSmall`, as its functions return it. */
const TARGET_TOO_SMALL = -70;

/**
 * Whole zstd frames in contexts that are kept. `node:zlib` makes one for each frame, and in a virtual machine, where asking
 * what the processor can do is answered by the host, that takes longer than a small file.
 */
export class KeptZstd {
  readonly #library: Library;
  readonly #compressing: Context;
  readonly #decompressing: Context;
  #compressed = Buffer.allocUnsafeSlow(LEAST_SCRATCH_BYTES);
  #input = Buffer.allocUnsafeSlow(LEAST_SCRATCH_BYTES);

  constructor(library: Library, contexts: { compressing: Context; decompressing: Context }) {
    this.#library = library;
    this.#compressing = contexts.compressing;
    this.#decompressing = contexts.decompressing;
  }

  /** One frame, good until the next call; undefined if it would not be smaller. */
  compress(content: Buffer): Buffer | undefined {
    if (content.length > this.#compressed.length) this.#compressed = Buffer.allocUnsafeSlow(content.length);
    const bytes = this.#library.ZSTD_compressCCtx(
      this.#compressing,
      this.#compressed,
      content.length,
      this.#unshared(content),
      content.length,
      LEVEL,
    );
    if (bytes >= 0) return this.#compressed.subarray(0, bytes);
    if (bytes === TARGET_TOO_SMALL) return undefined;
    throw new Error(`zstd does not compress: error ${-bytes}`);
  }

  /** The content, a new buffer. @param mostBytes - that it may have */
  decompress(frame: Buffer, mostBytes: number): Buffer | Undecompressed {
    // a pointer to nothing is none
    const target = Buffer.allocUnsafeSlow(Math.max(1, mostBytes));
    const bytes = this.#library.ZSTD_decompressDCtx(
      this.#decompressing,
      target,
      mostBytes,
      this.#unshared(frame),
      frame.length,
    );
    if (bytes >= 0) return target.subarray(0, bytes);
    return bytes === TARGET_TOO_SMALL ? 'too long' : 'damaged';
  }

  /** koffi takes no shared memory. */
  #unshared(bytes: Buffer): Buffer {
    if (!(bytes.buffer instanceof SharedArrayBuffer)) return bytes;
    if (bytes.length > this.#input.length) this.#input = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(this.#input);
    return this.#input;
  }
}

/**
 * Opens the zstd that this Node.js was built with. Each has contexts of its own, and serves one thread.
 *
 * @returns undefined where Node.js does not export it: `node:zlib` does as well there, only slower
 */
export function openKeptZstd(): KeptZstd | undefined {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  let library: Library;
  try {
    // The process's own symbols. libzstd.so would find some of its own functions here, of another version.
    library = bind(koffi.load(null));
  } catch {
    return undefined;
  }
  const compressing = library.ZSTD_createCCtx();
  const decompressing = library.ZSTD_createDCtx();
  return compressing && decompressing ? new KeptZstd(library, { compressing, decompressing }) : undefined;
}

function bind(library: ReturnType<typeof Koffi.load>): Library {
  const bytes = 'const uint8_t *';
  const out = 'uint8_t *';
  return {
    ZSTD_createCCtx: library.func('ZSTD_createCCtx', 'void *', []),
    ZSTD_createDCtx: library.func('ZSTD_createDCtx', 'void *', []),
    // size_t, of which the last hundred values are errors: they read as negative numbers
    ZSTD_compressCCtx: library.func('ZSTD_compressCCtx', 'int64_t', [
      'void *',
      out,
      'size_t',
      bytes,
      'size_t',
      'int',
    ]),
    ZSTD_decompressDCtx: library.func('ZSTD_decompressDCtx', 'int64_t', [
      'void *',
      out,
      'size_t',
      bytes,
      'size_t',
    ]),
  };
}
