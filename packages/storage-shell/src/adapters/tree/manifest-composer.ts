import { constants, createReadStream } from 'node:fs';
import {
  comparePaths,
  decodeManifestDelta,
  MANIFEST_PIECE,
  MAX_MANIFEST_RESTARTS,
  type ManifestDeltaOperation,
} from '@bakker/impl-format/storage';
import { openBeneath, type FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import { ComposedText } from './composed-text.ts';
import { ManifestFile } from './manifest-file.ts';
import { lineStart, ParentLines } from './parent-lines.ts';

const READ_BYTES = 128 * 1024;

export interface ManifestComposerOptions {
  readonly account: FolderHandle;
  /** The run that is written. */
  readonly run: string;
  /** Path in the account of the file that is composed: in `.bakker/`. */
  readonly temporary: Buffer;
  /** Path in the account of the parent's manifest; undefined for a first run. */
  readonly parentManifest: Buffer | undefined;
  /** Told how many bytes are about to be stored, or, below zero, were removed; may throw to refuse. */
  readonly storing?: (bytes: number) => void;
}

export interface ComposedManifest {
  /** Of the file's bytes, hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/**
 * Puts a manifest together from its pieces, in a temporary file: as it is sent, or as differences from the parent's.
 * Pieces may be given without waiting for those before. Disposing removes the file unless `finish` resolved. Memory: a
 * piece, a few of 256 KiB, and lines of at most 16 MiB.
 */
export class ManifestComposer implements AsyncDisposable {
  readonly #options: ManifestComposerOptions;
  #file: ManifestFile | undefined;
  #kind: number | undefined;
  #text: ComposedText | undefined;
  #kept: ParentLines | undefined;
  #moved: ParentLines | undefined;
  #lastFrom: Buffer | undefined;
  #restarts = 0;
  #isFinished = false;
  #isStopped = false;
  #failure: { readonly error: unknown } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ManifestComposerOptions) {
    this.#options = options;
  }

  /**
   * Adds a piece, after those before it. After a failure only a piece that starts over is taken.
   *
   * @param kind - of MANIFEST_PIECE, with START_OVER added or not
   * @param content - not to be changed any more
   * @throws StorageError OUT_OF_ORDER, PARENT_CHANGED, MANIFEST_DAMAGED; FormatProblem for a piece that can't be read;
   *   errno errors: `ENOSPC`, …
   */
  piece(kind: number, content: Buffer): Promise<void> {
    return this.#inTurn(async () => {
      if ((kind & MANIFEST_PIECE.START_OVER) !== 0) await this.#startOver();
      this.#check();
      try {
        await this.#add(kind & ~MANIFEST_PIECE.START_OVER, content);
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
    });
  }

  /**
   * Ends and closes the file, when it is what the client says.
   *
   * @param manifestSha256 - for a manifest that was sent as it is; null for differences
   * @throws StorageError MANIFEST_DAMAGED if it is not; OUT_OF_ORDER without a piece
   */
  finish(manifestSha256: string | null): Promise<ComposedManifest> {
    return this.#inTurn(async () => {
      this.#check();
      const file = this.#file;
      if (file === undefined) throw new StorageError('OUT_OF_ORDER', 'no manifest was sent');
      if ((manifestSha256 === null) !== (this.#kind === MANIFEST_PIECE.DELTA)) {
        throw new StorageError(
          'OUT_OF_ORDER',
          'only a manifest that was sent as it is has a SHA-256 to be named',
        );
      }
      await this.#text?.finish(this.#options.run);
      const { sizeBytes, sha256 } = file;
      if (manifestSha256 !== null && sha256 !== manifestSha256) {
        throw new StorageError('MANIFEST_DAMAGED', 'the manifest has another SHA-256 than was said');
      }
      await this.#release();
      file.close();
      this.#isFinished = true;
      return { sha256, sizeBytes };
    });
  }

  /** What is under way ends early, and nothing more is taken. */
  stop(): void {
    this.#isStopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#last;
    await this.#release();
    this.#file?.[Symbol.dispose]();
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #check(): void {
    if (this.#isStopped) throw new StorageError('INTERRUPTED', 'the session has ended');
    if (this.#isFinished) throw new StorageError('OUT_OF_ORDER', 'the manifest was finished');
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #startOver(): Promise<void> {
    if (this.#isFinished) return;
    await this.#release();
    if (this.#file !== undefined) {
      this.#options.storing?.(-this.#file.sizeBytes);
      this.#file.empty();
    }
    this.#kind = undefined;
    this.#lastFrom = undefined;
    this.#restarts = 0;
    this.#failure = undefined;
  }

  async #release(): Promise<void> {
    this.#text?.[Symbol.dispose]();
    await this.#kept?.[Symbol.asyncDispose]();
    await this.#moved?.[Symbol.asyncDispose]();
    this.#text = this.#kept = this.#moved = undefined;
  }

  async #add(kind: number, content: Buffer): Promise<void> {
    if (kind !== MANIFEST_PIECE.FILE && kind !== MANIFEST_PIECE.DELTA) {
      throw new StorageError('OUT_OF_ORDER', `a manifest comes in no pieces of kind ${kind}`);
    }
    this.#kind ??= kind;
    if (this.#kind !== kind)
      throw new StorageError('OUT_OF_ORDER', 'a manifest is sent in pieces of one kind');
    const file = (this.#file ??= new ManifestFile(this.#options.account, this.#options.temporary));
    if (kind === MANIFEST_PIECE.FILE) {
      this.#store(file, content);
      return;
    }
    const text = (this.#text ??= new ComposedText((compressed) => this.#store(file, compressed)));
    for (const operation of decodeManifestDelta(content)) {
      await this.#perform(operation, text);
      this.#check(); // the session may have ended meanwhile
    }
  }

  #store(file: ManifestFile, bytes: Uint8Array): void {
    this.#options.storing?.(bytes.length);
    file.write(bytes);
  }

  async #perform(operation: ManifestDeltaOperation, text: ComposedText): Promise<void> {
    if (operation.kind === 'lines') {
      await text.add(operation.bytes);
      return;
    }
    if (!text.isAtLineStart) throw new StorageError('OUT_OF_ORDER', 'a line was begun and not ended');
    switch (operation.kind) {
      case 'keep':
        for await (const block of this.#keptLines().take(operation.count)) await text.add(block);
        return;
      case 'drop':
        await this.#keptLines().drop(operation.count);
        return;
      case 'moved':
        await text.add(await this.#movedLine(operation));
    }
  }

  #keptLines(): ParentLines {
    return (this.#kept ??= this.#parentLines());
  }

  async #movedLine({ path, from }: { path: Buffer; from: Buffer }): Promise<Buffer> {
    if (this.#lastFrom !== undefined && comparePaths(from, this.#lastFrom) <= 0) {
      if (this.#restarts === MAX_MANIFEST_RESTARTS) {
        throw new StorageError(
          'OUT_OF_ORDER',
          `moved lines went back more than ${MAX_MANIFEST_RESTARTS} times`,
        );
      }
      this.#restarts++;
      await this.#moved?.[Symbol.asyncDispose]();
      this.#moved = undefined;
    }
    this.#moved ??= this.#parentLines();
    this.#lastFrom = from;
    const start = lineStart(from);
    const line = await this.#moved.find(start);
    return Buffer.concat([lineStart(path), line.subarray(start.length)]);
  }

  #parentLines(): ParentLines {
    const { account, parentManifest } = this.#options;
    if (parentManifest === undefined)
      throw new StorageError('OUT_OF_ORDER', 'a first run has no parent to keep lines of');
    const check = (): void => this.#check();
    return new ParentLines(check, () => {
      const fd = openBeneath(account, parentManifest, { flags: constants.O_RDONLY });
      return createReadStream('', { fd, highWaterMark: READ_BYTES });
    });
  }
}
