import { UnchangedLines } from '@bakker/impl-format';
import type { ObjectCounts, WrittenEntry } from '@bakker/impl-format';

/** Counts what the manifest says lies in the run's folder, for the storage to compare. */
export class ObjectCounter {
  #files = 0;
  #directories = 0;
  #symlinks = 0;
  #bytes = 0;
  #hasLongPaths = false;

  add(entries: readonly WrittenEntry[]): void {
    for (const entry of entries) {
      if (entry instanceof UnchangedLines) {
        this.#files += entry.fileCount;
        this.#bytes += entry.storedBytes;
        continue;
      }
      const { type, sizeBytes, sealedBytes, stored } = entry;
      if (stored.kind === 'manifest') continue;
      if (stored.kind === 'elsewhere') this.#hasLongPaths = true;
      if (type === 'directory') this.#directories++;
      else if (type === 'symlink') this.#symlinks++;
      else {
        this.#files++;
        this.#bytes += sealedBytes ?? sizeBytes;
      }
    }
  }

  counts(): ObjectCounts {
    return {
      files: this.#files,
      // the folder for long paths is in no manifest
      directories: this.#directories + (this.#hasLongPaths ? 1 : 0),
      symlinks: this.#symlinks,
      bytes: this.#bytes,
    };
  }
}
