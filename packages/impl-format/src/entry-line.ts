import { ByteWriter } from './byte-writer.ts';
import type { Entry } from './entry.ts';
import { EntryDecoder } from './entry-decode.ts';
import { encodeEntryLine } from './entry-encode.ts';

const PIECE_BYTES = 65_536;

/** Entries as their lines in a manifest, to keep them for a while. */
export class EntryLines {
  readonly #out = new ByteWriter(PIECE_BYTES);
  readonly #decoder = new EntryDecoder();

  /** Good until the next call. */
  encode(entry: Entry): Buffer {
    if (this.#out.length > PIECE_BYTES / 2) this.#out.take();
    const start = this.#out.length;
    encodeEntryLine(entry, this.#out);
    return this.#out.since(start);
  }

  /** What `encode` made. */
  decode(line: Buffer): Entry {
    return this.#decoder.decode(line, 0);
  }
}
