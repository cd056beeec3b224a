import { MANIFEST_PIECE, ManifestDeltaEncoder, VERB } from '@bakker/impl-format';
import type { ManifestFollower } from '@bakker/impl-format';
import { AgentError } from '../../errors.ts';
import { ParentChanged } from '../../ports/storage-account.ts';
import { ManifestDiffers } from './verb-client.ts';
import type { VerbClient } from './verb-client.ts';

/** Lines that follow each other go together up to this. */
const LINES_BYTES = 64 * 1024;
const FILE_PIECE_BYTES = 128 * 1024;
const PIECES_IN_FLIGHT = 4;

/** Tells the storage the manifest while it is written: what the parent's has is named, the rest is sent. */
export class ManifestUplink implements ManifestFollower {
  readonly #verbs: VerbClient;
  readonly #delta = new ManifestDeltaEncoder();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #lines = Buffer.allocUnsafe(LINES_BYTES);
  #linesBytes = 0;
  /** Of the parent's lines, the first that nothing was said of. */
  #next = 0;
  #failure: { readonly error: unknown } | undefined;
  #isRefused = false;

  constructor(verbs: VerbClient) {
    this.#verbs = verbs;
  }

  /** Whether the storage would not have the differences: the manifest has to be sent as it is. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  kept(number: number, count: number): void {
    this.#flushLines();
    this.#delta.drop(number - this.#next);
    this.#delta.keep(count);
    this.#next = number + count;
  }

  moved(path: Buffer, from: Buffer, line: Buffer): void {
    this.#flushLines();
    if (this.#delta.moved(path, from)) this.#sendIfFull();
    else this.line(line);
  }

  line(bytes: Buffer): void {
    for (let start = 0; start < bytes.length;) {
      const copied = bytes.copy(this.#lines, this.#linesBytes, start);
      this.#linesBytes += copied;
      start += copied;
      if (this.#linesBytes === LINES_BYTES) this.#flushLines();
    }
  }

  ready(): Promise<void> | undefined {
    if (!this.#failure && this.#inFlight.size < PIECES_IN_FLIGHT) return undefined;
    return this.#below(PIECES_IN_FLIGHT);
  }

  /** Sends the end. @throws the first failure */
  finish(): Promise<void> {
    this.#flushLines();
    this.#send(this.#delta.take(), MANIFEST_PIECE.DELTA);
    return this.#below(1);
  }

  /** Sends a compressed manifest as it is; what was told before is forgotten there. */
  async sendFile(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    this.#failure = undefined;
    let kind: number = MANIFEST_PIECE.FILE | MANIFEST_PIECE.START_OVER;
    for await (const piece of bytes) {
      for (let start = 0; start < piece.length; start += FILE_PIECE_BYTES) {
        const room = this.ready();
        if (room) await room;
        this.#send(Buffer.from(piece.subarray(start, start + FILE_PIECE_BYTES)), kind);
        kind = MANIFEST_PIECE.FILE;
      }
    }
    await this.#below(1);
  }

  #flushLines(): void {
    if (this.#linesBytes === 0) return;
    this.#delta.lines(this.#lines.subarray(0, this.#linesBytes));
    this.#linesBytes = 0;
    this.#sendIfFull();
  }

  #sendIfFull(): void {
    if (this.#delta.isFull) this.#send(this.#delta.take(), MANIFEST_PIECE.DELTA);
  }

  #send(content: Buffer, kind: number): void {
    const isDelta = kind === MANIFEST_PIECE.DELTA;
    if (isDelta && this.#isRefused) return;
    const answer = this.#verbs.call(VERB.manifest, Buffer.of(kind), content);
    this.#inFlight.add(answer);
    answer.then(
      () => this.#inFlight.delete(answer),
      (error: unknown) => {
        if (isDelta && isRefusal(error)) this.#isRefused = true;
        else this.#failure ??= { error };
        this.#inFlight.delete(answer);
      },
    );
  }

  async #below(count: number): Promise<void> {
    while (!this.#failure && this.#inFlight.size >= count) {
      await Promise.race(this.#inFlight).catch(() => undefined);
    }
    if (this.#failure) throw this.#failure.error;
  }
}

/**
 * About what was told, not about the line or the disk. The parent can't change under a run: a line that it does not have was
 * named because the file was found in an older run.
 */
function isRefusal(error: unknown): boolean {
  if (error instanceof ManifestDiffers || error instanceof ParentChanged) return true;
  return error instanceof AgentError && (error.code === 'STORAGE_REFUSED' || error.code === 'STORAGE_UNFIT');
}
