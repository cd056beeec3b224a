import { createHash } from 'node:crypto';
import type { StoredManifest } from '../ports/state-folder.ts';

/** Where bytes of a manifest go, hashed and counted on the way. */
export class ManifestOutput {
  readonly #draft: { write(bytes: Uint8Array): Promise<void> };
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;

  constructor(draft: { write(bytes: Uint8Array): Promise<void> }) {
    this.#draft = draft;
  }

  async write(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.#sizeBytes += chunk.length;
      await this.#draft.write(chunk);
    }
  }

  /** What was written. To be called once. */
  stored(): StoredManifest {
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }
}
