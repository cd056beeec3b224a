import type { Entry } from './entry.ts';
import { SameLine, type FileFacts } from './same-line.ts';
import { UnchangedLines } from './unchanged-lines.ts';

export interface ReadLine {
  readonly entry: Entry;
  /** Counted from 0, the header left out. */
  readonly number: number;
  /** Where the next line begins. */
  readonly end: number;
}

/** What reads a manifest's entries for a cursor, and keeps count of them. */
export interface LineSource {
  /** The next block of whole lines; undefined at the end, once the digest was found true. @throws ManifestError */
  next(): Promise<Buffer | undefined>;
  /** Compares what was counted with the trailer, when every line was passed. @throws ManifestError */
  finish(): void;
  /** The entry whose line begins at `start`. @throws ManifestError */
  read(block: Buffer, start: number): ReadLine;
  /** Undefined where lines have to be read in any case: what their names say depends on those before. */
  readonly same: SameLine | undefined;
  /** A line that was passed without reading it, whose path stands in `block`. @returns its number */
  passed(block: Buffer, path: { readonly start: number; readonly end: number }, sizeBytes: number): number;
  close(): Promise<void>;
}

/**
 * Goes through a manifest's entries at the pace of a scan that passes the same paths. Lines that say what the scan sees are
 * taken as they stand; of others an entry is made. Holds what was read ahead.
 */
export class EntryCursor implements AsyncDisposable {
  readonly #source: LineSource;
  readonly #blocks: Buffer[] = [];
  #at = 0;
  #atHandBytes = 0;
  #hasEnded = false;
  #isFinished = false;
  #read: ReadLine | undefined;

  constructor(source: LineSource) {
    this.#source = source;
  }

  /** Every entry was passed, and the trailer is true. */
  get isAtEnd(): boolean {
    return this.#isFinished;
  }

  /** Nothing more can be read ahead. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Of the lines that were read ahead. */
  get atHandBytes(): number {
    return this.#atHandBytes;
  }

  /** Reads ahead. @throws ManifestError */
  async more(): Promise<void> {
    if (this.#hasEnded) return;
    const block = await this.#source.next();
    if (block === undefined) {
      this.#hasEnded = true;
      this.#finishIfPassed();
    } else {
      this.#blocks.push(block);
      this.#atHandBytes += block.length;
    }
  }

  /** The next entry, which stays the next; undefined if it is not at hand. @throws ManifestError */
  peek(): Entry | undefined {
    const block = this.#blocks[0];
    if (block === undefined) return undefined;
    this.#read ??= this.#source.read(block, this.#at);
    return this.#read.entry;
  }

  /** Goes behind the entry that `peek` gave. */
  step(): void {
    if (this.#read === undefined) throw new Error('there is nothing to step over');
    this.#goTo(this.#read.end);
  }

  /**
   * Goes behind the next line, if it says of the file at `path` what `facts` do.
   *
   * @param before - is made longer if it ends just here; else a new one begins
   */
  takeSame(
    path: Buffer,
    pathBytes: number,
    facts: FileFacts,
    before: UnchangedLines | undefined,
  ): UnchangedLines | undefined {
    const block = this.#blocks[0];
    const { same } = this.#source;
    if (block === undefined || same === undefined) return undefined;
    const start = this.#at;
    const end = same.end(block, start, path, pathBytes, facts);
    if (end < 0) return undefined;
    const place = { start: SameLine.pathStart(start), end: same.pathEnd };
    const { sizeBytes, filesystem } = facts;
    // one that was read was counted already
    const number = this.#read?.number ?? this.#source.passed(block, place, sizeBytes);
    const isNext = before?.block === block && before.end === start && before.filesystem === filesystem;
    const lines = isNext
      ? before
      : new UnchangedLines({
          ...{ number, block, start, filesystem, pathPlace: place },
          path: Buffer.from(path.subarray(0, pathBytes)),
        });
    lines.add(place, { end, sizeBytes, sealedBytes: same.sealedBytes });
    this.#goTo(end);
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.close();
  }

  #goTo(end: number): void {
    this.#read = undefined;
    this.#atHandBytes -= end - this.#at;
    this.#at = end;
    if (end < (this.#blocks[0]?.length ?? 0)) return;
    this.#blocks.shift();
    this.#at = 0;
    this.#finishIfPassed();
  }

  #finishIfPassed(): void {
    if (!this.#hasEnded || this.#blocks.length > 0 || this.#isFinished) return;
    this.#source.finish();
    this.#isFinished = true;
  }
}
