import type { Entry, ManifestCounts } from './entry.ts';
import { FormatProblem } from './errors.ts';

/** Counts entries as the trailer does. */
export class EntryCounter {
  #entries = 0;
  #files = 0;
  #directories = 0;
  #symlinks = 0;
  #unreadable = 0;
  #bytes = 0;

  /** @throws FormatProblem MALFORMED if the sum of all sizes leaves the range of exact numbers */
  add({ type, sizeBytes, unreadable }: Entry): void {
    this.#entries++;
    if (type === 'file') this.#files++;
    else if (type === 'directory') this.#directories++;
    else if (type === 'symlink') this.#symlinks++;
    if (unreadable !== undefined) this.#unreadable++;
    this.#addBytes(sizeBytes);
  }

  /** Readable files. @throws as `add` */
  addFiles(count: number, bytes: number): void {
    this.#entries += count;
    this.#files += count;
    this.#addBytes(bytes);
  }

  counts(): ManifestCounts {
    return {
      entries: this.#entries,
      files: this.#files,
      directories: this.#directories,
      symlinks: this.#symlinks,
      others: this.#entries - this.#files - this.#directories - this.#symlinks,
      unreadable: this.#unreadable,
      bytes: this.#bytes,
    };
  }

  #addBytes(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > Number.MAX_SAFE_INTEGER) {
      throw new FormatProblem('MALFORMED', 'the sum of all sizes is out of range');
    }
  }
}
