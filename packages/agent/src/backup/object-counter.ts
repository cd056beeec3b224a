import { UnchangedLines } from '@bakker/impl-format';
import type { ObjectCounts, WrittenEntry } from '@bakker/impl-format';

/** Counts what the manifest says lies in the run's folder, for the storage to compare. */
export class ObjectCounter {
  #files = 0;
  #directories = 0;
  #symlinks = 0;
  #bytes = 0;

  add(entries: readonly WrittenEntry[]): void {
    for (const entry of entries) {
      if (entry instanceof UnchangedLines) {
        this.#files += entry.fileCount;
        this.#bytes += entry.storedBytes;
        continue;
      }
      const { type, sizeBytes, sealedBytes, stored } = entry;
      if (stored.kind === 'manifest') continue;
      if (type === 'directory') this.#directories++;
      else if (type === 'symlink') this.#symlinks++;
      else {
        this.#files++;
        this.#bytes += sealedBytes ?? sizeBytes;
      }
    }
  }

  /** @param hasLongPathsFolder - it is in no manifest, and is there even if what it was made for could not be read */
  counts(hasLongPathsFolder: boolean): ObjectCounts {
    return {
      files: this.#files,
      directories: this.#directories + (hasLongPathsFolder ? 1 : 0),
      symlinks: this.#symlinks,
      bytes: this.#bytes,
    };
  }
}
