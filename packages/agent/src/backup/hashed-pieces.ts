import type { HashedPieces, OpenSourceFile } from '../ports/source-tree.ts';
import { ContentHash } from './content-hash.ts';

/** Below this size another thread costs more than it brings. */
const ON_THREAD_FROM_BYTES = 4 * 1024 * 1024;

/** Reads a file, or a copy of it, and hashes it: beside what is done with the pieces, if it is worth that. */
export function hashedPieces(file: OpenSourceFile, from?: number): HashedPieces {
  const beside = file.entry.sizeBytes >= ON_THREAD_FROM_BYTES ? file.hashed?.(from) : undefined;
  if (beside) return beside;
  const hash = new ContentHash();
  return {
    pieces: async function* () {
      for await (const piece of file.pieces(from)) {
        hash.update(piece.offsetBytes, piece.bytes);
        yield piece;
      }
    },
    sha256: async (sizeBytes) => hash.finish(sizeBytes),
    [Symbol.dispose]: () => undefined,
  };
}
