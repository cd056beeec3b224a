import type { Entry, ManifestHeader, ManifestTrailer, Stored } from './entry.ts';
import { EntryCounter } from './entry-counter.ts';
import { EntryCursor, type LineSource, type ReadLine } from './entry-cursor.ts';
import { EntryDecoder } from './entry-decode.ts';
import type { EntryOrigin } from './entry-origin.ts';
import { checkEntry, checkOrder, entryFrame } from './entry-rules.ts';
import type { EntryFrame, PlaceInOrder } from './entry-rules.ts';
import { FormatProblem } from './errors.ts';
import { HiddenTree } from './hidden-tree.ts';
import { ManifestText } from './manifest-text.ts';
import { baseName } from './path-order.ts';
import { SameLine } from './same-line.ts';
import { countsDiffer } from './trailer-line.ts';

const BATCH_LENGTH = 1024;
/** Of lines: usual ones have some 300 bytes. A thousand of the longest would be 16 GiB, out of a few hundred KB. */
const BATCH_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

export interface ReadOptions {
  /** Where the bytes are from, for messages: `2024_04_18_01.impl`. */
  readonly source?: string;
  /** Gives each entry the line that it was read from, so that a manifest which has the same need not make it anew. */
  readonly keepLines?: boolean;
}

export interface CheckOptions extends ReadOptions {
  /** The run that it must be the manifest of. */
  readonly run?: string;
}

/** A manifest being read. Dispose of it unless its batches are read to the end or stopped. */
export interface ManifestReader extends AsyncDisposable {
  readonly header: ManifestHeader;
  /** @throws Error before the batches have ended */
  readonly trailer: ManifestTrailer;
  /**
   * The entries in order, in batches of at most 1,024, and of 1 MiB of lines and the last one; to be called once. Ends only when the trailer was there and its
   * counts and digest are true, so nothing that can't be undone should be done before it has ended.
   * Stopping early releases the bytes' source. Holds one batch, a few pieces of 128 KiB, and a few lines of 16 MiB at most.
   * @throws ManifestError
   */
  batches(): AsyncGenerator<readonly Entry[]>;
}

/** One that can be read at the pace of a scan. */
export interface SteppedManifest extends ManifestReader {
  /** The same entries; instead of `batches`, and it comes to its end under the same conditions. */
  cursor(): EntryCursor;
}

/**
 * Starts to read a compressed manifest; resolves when its header was read and understood.
 * @throws ManifestError; what `bytes` throws comes through as it is
 */
export async function readManifest(
  bytes: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): Promise<SteppedManifest> {
  const text = new ManifestText(bytes, options.source);
  try {
    return new Reader(text, await text.header(), options.keepLines === true);
  } catch (error) {
    await text[Symbol.asyncDispose]();
    throw text.located(error);
  }
}

/**
 * Whether these are the bytes of a whole manifest: decompresses it all, but reads only header and trailer, and compares
 * digest and number of lines. Several times quicker than reading the entries; says nothing about what they say.
 * @throws ManifestError; what `bytes` throws comes through as it is
 */
export async function checkManifestBytes(
  bytes: AsyncIterable<Uint8Array>,
  options: CheckOptions = {},
): Promise<ManifestTrailer> {
  await using text = new ManifestText(bytes, options.source);
  try {
    const header = await text.header();
    if (options.run !== undefined && header.run !== options.run) {
      throw new FormatProblem('DAMAGED', `it is the manifest of ${header.run}`);
    }
    const body = text.body();
    let entries = 0;
    for (;;) {
      const { done, value } = await body.next();
      if (done === true) return checkLineCount(value, entries);
      const lines = lineCount(value);
      entries += lines;
      text.line += lines;
    }
  } catch (error) {
    throw text.located(error);
  }
}

class Reader implements SteppedManifest {
  readonly header: ManifestHeader;
  readonly #text: ManifestText;
  readonly #decoder = new EntryDecoder();
  readonly #counter = new EntryCounter();
  #previous: PlaceInOrder | undefined;
  /** Where the path of a line stands that was passed since, without reading it. */
  #passed: { readonly block: Buffer; readonly start: number; readonly end: number } | undefined;
  #unchecked: ManifestTrailer | undefined;
  #trailer: ManifestTrailer | undefined;
  #started = false;
  readonly #keepLines: boolean;
  readonly #frame: EntryFrame;
  readonly #hidden: HiddenTree | undefined;
  #number = 0;

  constructor(text: ManifestText, header: ManifestHeader, keepLines: boolean) {
    this.#text = text;
    this.header = header;
    this.#keepLines = keepLines;
    this.#frame = entryFrame(header);
    this.#hidden = header.nameKey === undefined ? undefined : new HiddenTree(header.nameKey);
  }

  get trailer(): ManifestTrailer {
    if (this.#trailer === undefined) throw new Error('the trailer is known when the batches have ended');
    return this.#trailer;
  }

  async *batches(): AsyncGenerator<readonly Entry[]> {
    if (this.#started) throw new Error('the batches of a manifest can be read once');
    this.#started = true;
    await using text = this.#text;
    const body = text.body();
    let batch: Entry[] = [];
    let batchBytes = 0;
    for (;;) {
      const { done, value } = await body.next().catch((error: unknown) => {
        throw text.located(error);
      });
      if (done === true) {
        this.#finish(value);
        break;
      }
      for (let at = 0; at < value.length; at = this.#decoder.end + 1) {
        batch.push(this.#entry(value, at));
        batchBytes += this.#decoder.end + 1 - at;
        if (batch.length < BATCH_LENGTH && batchBytes < BATCH_BYTES) continue;
        yield batch;
        batch = [];
        batchBytes = 0;
      }
    }
    if (batch.length > 0) yield batch;
  }

  cursor(): EntryCursor {
    if (this.#started) throw new Error('the entries of a manifest can be read once');
    this.#started = true;
    const text = this.#text;
    const body = text.body();
    const source: LineSource = {
      same: this.#hidden === undefined ? new SameLine() : undefined,
      next: async () => {
        const { done, value } = await body.next().catch((error: unknown) => {
          throw text.located(error);
        });
        if (done !== true) return value;
        this.#unchecked = value;
        return undefined;
      },
      read: (block, start) => this.#read(block, start),
      passed: (block, path, sizeBytes) => {
        text.line++;
        this.#counter.addFiles(1, sizeBytes);
        this.#passed = { block, ...path };
        return this.#number++;
      },
      finish: () => {
        if (this.#unchecked) this.#finish(this.#unchecked);
      },
      close: () => text[Symbol.asyncDispose](),
    };
    return new EntryCursor(source);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#text[Symbol.asyncDispose]();
  }

  #read(block: Buffer, start: number): ReadLine {
    const passed = this.#passed;
    if (passed !== undefined) {
      this.#previous = { type: 'file', path: passed.block.subarray(passed.start, passed.end) };
      this.#passed = undefined;
    }
    const number = this.#number;
    return { entry: this.#entry(block, start), number, end: this.#decoder.end + 1 };
  }

  #entry(block: Buffer, start: number): Entry {
    this.#text.line++;
    try {
      const entry = this.#decoder.decode(block, start);
      checkEntry(entry, this.#frame);
      if (this.#previous !== undefined) checkOrder(entry, this.#previous);
      if (this.#hidden !== undefined) this.#place(entry, this.#hidden);
      this.#counter.add(entry);
      this.#previous = entry;
      if (this.#keepLines) this.#note(entry, block, start);
      return entry;
    } catch (error) {
      throw this.#text.located(error, this.#decoder.path);
    }
  }

  /** Says where an entry lies whose name is hidden. */
  #place(entry: Entry & { stored: Stored }, hidden: HiddenTree): void {
    const folder = hidden.folderOf(entry.path);
    if (folder === undefined)
      throw new FormatProblem('MALFORMED', 'there is no line of the folder that it is in');
    if (entry.stored.kind === 'own') entry.stored = folder.place(baseName(entry.path));
    if (entry.nameId !== undefined) hidden.enter(folder, entry.path, entry.nameId);
  }

  #note(entry: Entry & { origin?: EntryOrigin }, block: Buffer, start: number): void {
    const number = this.#number++;
    entry.origin = { of: entry, kind: 'line', number, block, start, end: this.#decoder.end + 1 };
  }

  #finish(trailer: ManifestTrailer): void {
    const difference = countsDiffer(this.#counter.counts(), trailer.counts);
    if (difference !== undefined) throw this.#text.located(new FormatProblem('DAMAGED', difference));
    this.#trailer = trailer;
  }
}

function checkLineCount(trailer: ManifestTrailer, entries: number): ManifestTrailer {
  if (trailer.counts.entries === entries) return trailer;
  throw new FormatProblem(
    'DAMAGED',
    `the trailer counts ${trailer.counts.entries} entries, but there are ${entries}`,
  );
}

function lineCount(block: Buffer): number {
  let lines = 0;
  for (let at = block.indexOf(NEWLINE); at !== -1; at = block.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
