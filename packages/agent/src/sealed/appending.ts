import { ContentHash } from '../backup/content-hash.ts';
import type { FileSink } from '../ports/storage-account.ts';
import type { StoredFile } from './sealing.ts';

/** Sealed bytes are written in pieces of this size: SFTP takes 255 KiB in one request. */
const PIECE_BYTES = 192 * 1024;

/** Writes sealed bytes one after another, and knows their hash if somebody asks for it. */
export class Appending {
  readonly #sink: FileSink;
  readonly #hash: ContentHash | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #atBytes = 0;

  constructor(sink: FileSink, isHashed: boolean) {
    this.#sink = sink;
    this.#hash = isHashed ? new ContentHash() : undefined;
  }

  /** The bytes are its own from here on. */
  async add(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#heldBytes += piece.length;
      if (this.#heldBytes >= PIECE_BYTES) await this.#flush();
    }
  }

  /** Passes over what is a hole of the sealed file, too. */
  async seek(offsetBytes: number): Promise<void> {
    if (offsetBytes === this.#atBytes + this.#heldBytes) return;
    await this.#flush();
    this.#atBytes = offsetBytes;
  }

  async end(): Promise<StoredFile> {
    await this.#flush();
    return { sizeBytes: this.#atBytes, sha256: this.#hash?.finish(this.#atBytes) };
  }

  async #flush(): Promise<void> {
    if (this.#heldBytes === 0) return;
    const [only] = this.#held;
    const bytes = this.#held.length === 1 && only ? only : Buffer.concat(this.#held, this.#heldBytes);
    const offsetBytes = this.#atBytes;
    this.#held = [];
    this.#heldBytes = 0;
    this.#atBytes += bytes.length;
    this.#hash?.update(offsetBytes, bytes);
    await this.#sink.write(offsetBytes, bytes);
  }
}
