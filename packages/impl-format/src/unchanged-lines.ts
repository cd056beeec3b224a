import { EntryDecoder } from './entry-decode.ts';
import type { Entry } from './entry.ts';
import type { EntryOrigin } from './entry-origin.ts';

/** The lines of files in one folder that follow each other in the parent's manifest, and are true again. */
export class UnchangedLines {
  /** Of the first. */
  readonly path: Buffer;
  /** Counted from 0, the header left out. */
  readonly number: number;
  readonly block: Buffer;
  readonly start: number;
  readonly filesystem: number;
  end: number;
  fileCount = 0;
  /** Content, as the source has it. */
  bytes = 0;
  /** Of that content, as it lies on the storage. */
  storedBytes = 0;
  longestPathBytes = 0;
  #lastPath: { readonly start: number; readonly end: number };

  constructor(first: {
    path: Buffer;
    number: number;
    block: Buffer;
    start: number;
    filesystem: number;
    pathPlace: { readonly start: number; readonly end: number };
  }) {
    this.path = first.path;
    this.number = first.number;
    this.block = first.block;
    this.start = first.start;
    this.end = first.start;
    this.filesystem = first.filesystem;
    this.#lastPath = first.pathPlace;
  }

  /** Shares memory. */
  get lastPath(): Buffer {
    return this.block.subarray(this.#lastPath.start, this.#lastPath.end);
  }

  /** Takes the line that follows. @param path - where it stands in the block */
  add(
    path: { readonly start: number; readonly end: number },
    file: { readonly end: number; readonly sizeBytes: number; readonly sealedBytes: number | undefined },
  ): void {
    this.#lastPath = path;
    this.end = file.end;
    this.fileCount++;
    this.bytes += file.sizeBytes;
    this.storedBytes += file.sealedBytes ?? file.sizeBytes;
    this.longestPathBytes = Math.max(this.longestPathBytes, path.end - path.start);
  }

  /** For whoever has to look at each: what a reader makes of the lines. */
  entries(): Entry[] {
    const decoder = new EntryDecoder();
    const entries: Entry[] = [];
    for (let at = this.start; at < this.end; at = decoder.end + 1) {
      const entry: Entry & { origin?: EntryOrigin } = decoder.decode(this.block, at);
      const number = this.number + entries.length;
      entry.origin = { of: entry, kind: 'line', number, block: this.block, start: at, end: decoder.end + 1 };
      entries.push(entry);
    }
    return entries;
  }
}
