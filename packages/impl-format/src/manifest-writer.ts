import { createHash } from 'node:crypto';
import { ByteWriter } from './byte-writer.ts';
import type { Entry, ManifestHeader, ManifestTrailer } from './entry.ts';
import { EntryCounter } from './entry-counter.ts';
import { encodeEntryLine } from './entry-encode.ts';
import { originOf } from './entry-origin.ts';
import { checkEntry, checkOrder, entryFrame } from './entry-rules.ts';
import type { EntryFrame, PlaceInOrder } from './entry-rules.ts';
import { FormatProblem, ManifestError } from './errors.ts';
import { encodeHeaderLine } from './header-line.ts';
import { MAX_LINE_BYTES } from './line-blocks.ts';
import { printableBytes } from './printable.ts';
import { encodeTrailerLine } from './trailer-line.ts';
import { UnchangedLines } from './unchanged-lines.ts';
import { ZstdCompressor } from './zstd.ts';

/** Text is handed to the compressor in pieces of about this size: streams cost by the piece. */
const PIECE_BYTES = 256 * 1024;
/** Room for the line that makes a piece long enough. */
const BUFFER_BYTES = PIECE_BYTES + 16 * 1024;

/** What the writer can't know before the end. */
export interface ManifestFinish {
  readonly finishedAtMs: number;
  /** Content bytes that this run added to the account. */
  readonly addedBytes: number;
}

/** What a manifest is written of: entries, and lines that are taken over as they stand. */
export type WrittenEntry = Entry | UnchangedLines;

/** Makes the bytes of a manifest out of batches that are pushed to it. Dispose of it if it may not be finished. */
export interface ManifestEncoder extends Disposable {
  /**
   * Adds entries, which follow those before in manifest order, and resolves to the compressed bytes that are ready: often
   * none. Await it before the next call. Memory: about 1 MiB, and what is resolved to.
   * @throws ManifestError for an entry that a reader would refuse; the encoder is of no more use then
   */
  encode(entries: readonly WrittenEntry[]): Promise<readonly Uint8Array[]>;
  /** Ends the manifest and resolves to its last bytes. */
  finish(finish: ManifestFinish): Promise<FinishedManifest>;
}

export interface FinishedManifest {
  readonly chunks: readonly Uint8Array[];
  readonly trailer: ManifestTrailer;
}

/** Learns what the text of a manifest is made of while it is written, to tell it to somebody who has the parent's. */
export interface ManifestFollower {
  /** So many of the parent's lines from this number on, counted from 0 without the header. */
  kept(number: number, count: number): void;
  /** The parent's line of the path `from`, with `path` in its place; that makes `line`, as below. */
  moved(path: Buffer, from: Buffer, line: Buffer): void;
  /** A whole line with its newline, also header and trailer. The bytes are only good until this returns. */
  line(bytes: Buffer): void;
}

/**
 * @param follower - entries that have their line from a reader must be of the parent's manifest then
 * @throws ManifestError for a header that a reader would refuse
 */
export function createManifestEncoder(header: ManifestHeader, follower?: ManifestFollower): ManifestEncoder {
  return new Encoder(header, follower);
}

/**
 * A manifest as a stream of compressed bytes; returns its trailer. `finish` is asked when the batches have ended.
 * @throws ManifestError for a header or an entry that a reader would refuse
 */
export async function* encodeManifest(
  header: ManifestHeader,
  batches: AsyncIterable<readonly Entry[]>,
  finish: () => ManifestFinish,
): AsyncGenerator<Uint8Array, ManifestTrailer> {
  using encoder = createManifestEncoder(header);
  for await (const batch of batches) yield* await encoder.encode(batch);
  const { chunks, trailer } = await encoder.finish(finish());
  yield* chunks;
  return trailer;
}

class Encoder implements ManifestEncoder {
  readonly #frame: EntryFrame;
  readonly #compressor = new ZstdCompressor();
  readonly #hash = createHash('sha256');
  readonly #counter = new EntryCounter();
  readonly #out = new ByteWriter(BUFFER_BYTES);
  #previous: PlaceInOrder | undefined;
  #line = 1;
  #state: 'open' | 'failed' | 'finished' = 'open';
  readonly #follower: ManifestFollower | undefined;

  constructor(header: ManifestHeader, follower?: ManifestFollower) {
    this.#frame = entryFrame(header);
    this.#follower = follower;
    try {
      this.#out.text(`${encodeHeaderLine(header)}\n`);
      follower?.line(this.#out.since(0));
    } catch (error) {
      this.#compressor[Symbol.dispose]();
      throw this.#fail(error);
    }
  }

  async encode(entries: readonly WrittenEntry[]): Promise<readonly Uint8Array[]> {
    if (this.#state !== 'open') throw new Error(`the manifest is ${this.#state}: nothing can be added`);
    for (const entry of entries) {
      if (entry instanceof UnchangedLines) this.#addLines(entry);
      else this.#add(entry);
      if (this.#out.length >= PIECE_BYTES) await this.#flush();
    }
    return this.#compressor.take();
  }

  async finish({ finishedAtMs, addedBytes }: ManifestFinish): Promise<FinishedManifest> {
    if (this.#state !== 'open') throw new Error(`the manifest is ${this.#state}: it can't be finished`);
    this.#state = 'finished';
    await this.#flush();
    const counts = this.#counter.counts();
    const trailer = { finishedAtMs, counts, addedBytes, digest: this.#hash.digest('hex') };
    const last = Buffer.from(this.#trailerText(trailer), 'utf8');
    this.#follower?.line(last);
    await this.#compressor.write(last);
    await this.#compressor.end();
    return { chunks: this.#compressor.take(), trailer };
  }

  [Symbol.dispose](): void {
    if (this.#state === 'open') this.#state = 'failed';
    this.#compressor[Symbol.dispose]();
  }

  #add(entry: Entry): void {
    this.#line++;
    try {
      const origin = originOf(entry);
      // a line that a reader took is true, but for the number of file systems in this header
      if (origin?.kind === 'line' && entry.filesystem < this.#frame.filesystemCount) {
        if (this.#previous !== undefined) checkOrder(entry, this.#previous);
        this.#out.part(origin.block, origin.start, origin.end);
        this.#follower?.kept(origin.number, 1);
      } else {
        checkEntry(entry, this.#frame);
        if (this.#previous !== undefined) checkOrder(entry, this.#previous);
        const start = this.#out.length;
        encodeEntryLine(entry, this.#out);
        if (this.#out.length - start > MAX_LINE_BYTES) {
          throw new FormatProblem('MALFORMED', `the line is longer than ${MAX_LINE_BYTES} bytes`);
        }
        if (origin?.kind !== 'moved') this.#follower?.line(this.#out.since(start));
        else this.#follower?.moved(entry.path, origin.from, this.#out.since(start));
      }
      this.#counter.add(entry);
      this.#previous = entry;
    } catch (error) {
      this.#state = 'failed';
      throw this.#fail(error, entry.path);
    }
  }

  #addLines(lines: UnchangedLines): void {
    if (lines.filesystem >= this.#frame.filesystemCount) {
      for (const entry of lines.entries()) this.#add(entry); // refuses them
      return;
    }
    this.#line++;
    try {
      if (this.#previous !== undefined) checkOrder({ type: 'file', path: lines.path }, this.#previous);
      this.#out.part(lines.block, lines.start, lines.end);
      this.#follower?.kept(lines.number, lines.fileCount);
      this.#counter.addFiles(lines.fileCount, lines.bytes);
      this.#previous = { type: 'file', path: lines.lastPath };
      this.#line += lines.fileCount - 1;
    } catch (error) {
      this.#state = 'failed';
      throw this.#fail(error, lines.path);
    }
  }

  #trailerText(trailer: ManifestTrailer): string {
    this.#line++;
    try {
      return `${encodeTrailerLine(trailer)}\n`;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #flush(): Promise<void> {
    const piece = this.#out.take();
    this.#hash.update(piece);
    await this.#compressor.write(piece);
  }

  #fail(error: unknown, path?: Buffer): unknown {
    if (!(error instanceof FormatProblem)) return error;
    return new ManifestError(error.code, error.message, {
      source: 'manifest to be written',
      line: this.#line,
      path: path === undefined ? undefined : printableBytes(path),
    });
  }
}
