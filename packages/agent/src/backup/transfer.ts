import type { Entry, Stored } from '@bakker/impl-format';
import { hash } from 'node:crypto';
import type { FileSink, NewFile, RunWriter, StoredPlace } from '../ports/storage-account.ts';
import type { SourceProblem, SourceTree, WholeFile } from '../ports/source-tree.ts';
import type { Sealing, StoredFile } from '../sealed/sealing.ts';
import { ContentHash } from './content-hash.ts';
import { LONG_PATHS_FOLDER_PATH, storedPath } from './stored-place.ts';

/** Files up to this size are read in one call and sent in one request: OpenSSH takes 255 KiB in one. */
export const WHOLE_FILE_BYTES = 255 * 1024;
/** How often a large file that changes is read in all. */
const LARGE_READS = 2;

/** A file's entry as it was read, with the hash of what was read. */
export type HashedEntry = Entry & { readonly sha256: Buffer };

/** Content that arrived: acknowledged by the storage. */
export interface Arrived {
  readonly entry: HashedEntry;
  readonly place: StoredPlace;
}

/** Reads files of the source and sends their content into the run. */
export class Transfer {
  readonly #writer: RunWriter;
  readonly #source: SourceTree;
  readonly #onProblem: (problem: SourceProblem) => void;
  readonly #sealing: Sealing | undefined;
  readonly #sealedAtS: number;
  #longPathsFolder: Promise<void> | undefined;

  constructor(options: {
    writer: RunWriter;
    source: SourceTree;
    onProblem: (problem: SourceProblem) => void;
    sealing?: Sealing | undefined;
  }) {
    this.#writer = options.writer;
    this.#source = options.source;
    this.#onProblem = options.onProblem;
    this.#sealing = options.sealing;
    this.#sealedAtS = Math.floor(Date.now() / 1000);
  }

  /** Reads a small file. @throws the errno error of the source */
  readWhole(now: Entry): { entry: HashedEntry; content: Buffer } {
    const whole: WholeFile = this.#source.readWhole(now);
    const entry = finished(
      whole.entry,
      now.stored,
      hash('sha256', whole.content, 'buffer'),
      whole.isChanging,
    );
    if (whole.isChanging) this.#reportChanging(entry);
    return { entry, content: whole.content };
  }

  /** Lets go of what `readWhole` read. */
  drop(content: Buffer): void {
    this.#source.recycle(content);
  }

  /** Sends what `readWhole` read, and lets go of it. */
  async sendWhole(entry: HashedEntry, content: Buffer): Promise<Arrived> {
    if (this.#sealing) return this.#sendSealed(this.#sealing, entry, content);
    const path = entry.stored.kind === 'own' ? entry.path : await this.#pathFor(entry);
    await this.#writer.file(path, content, { ...aboutNewFile(entry), sha256: entry.sha256 });
    this.#source.recycle(content);
    return { entry, place: { folder: this.#writer.folder, path } };
  }

  async #sendSealed(sealing: Sealing, entry: HashedEntry, content: Buffer): Promise<Arrived> {
    const path = entry.stored.kind === 'own' ? (entry.stored.at ?? entry.path) : await this.#pathFor(entry);
    const sealed = sealing.whole(content);
    this.#source.recycle(content);
    await this.#writer.file(path, sealed, this.#aboutSealed());
    return { entry: { ...entry, sealedBytes: sealed.length }, place: { folder: this.#writer.folder, path } };
  }

  /** Hashes a large file; undefined if it changed meanwhile. @throws the errno error of the source */
  async hashLarge(now: Entry): Promise<HashedEntry | undefined> {
    await using file = this.#source.openFile(now);
    const hashing = new ContentHash();
    for await (const piece of file.pieces()) hashing.update(piece.offsetBytes, piece.bytes);
    if (!file.isUnchanged()) return undefined;
    return finished(file.entry, now.stored, hashing.finish(file.entry.sizeBytes), false);
  }

  /**
   * Reads and sends a large file in one pass; again if it changed meanwhile. Holds the sink's window of pieces.
   * @throws the errno error of the source, after which nothing of the file is in the run
   */
  async sendLarge(now: Entry): Promise<Arrived> {
    const path = await this.#pathFor(now);
    const about = {
      ...(this.#sealing ? this.#aboutSealed() : aboutNewFile(now)),
      expectedBytes: now.sizeBytes,
    };
    await using sink = await this.#writer.openFile(path, about);
    try {
      const { entry, stored } = await this.#fill(sink, now);
      await sink.finish(stored?.sizeBytes ?? entry.sizeBytes, stored ? stored.sha256 : entry.sha256);
      return { entry, place: { folder: this.#writer.folder, path } };
    } catch (error) {
      if (isSourceError(error)) await sink.discard();
      throw error;
    }
  }

  async #fill(sink: FileSink, now: Entry): Promise<{ entry: HashedEntry; stored: StoredFile | undefined }> {
    for (let attempt = 1; ; attempt++) {
      await using file = this.#source.openFile(now);
      const { sizeBytes } = file.entry;
      const isHashed = this.#writer.tellsHashes === true;
      using sealed = this.#sealing?.file(sink, { sizeBytes, isHashed }) ?? null;
      const isShared = (sealed === null && sink.share?.(file.descriptor)) ?? false;
      const hashing = new ContentHash();
      for await (const piece of file.pieces()) {
        hashing.update(piece.offsetBytes, piece.bytes);
        if (!isShared) await (sealed ?? sink).write(piece.offsetBytes, piece.bytes);
      }
      const isChanging = !file.isUnchanged();
      if (isChanging && attempt < LARGE_READS) {
        await sink.restart();
        continue;
      }
      const stored = await sealed?.end();
      const entry = finished(file.entry, now.stored, hashing.finish(sizeBytes), isChanging);
      if (isChanging) this.#reportChanging(entry);
      return { entry: stored ? { ...entry, sealedBytes: stored.sizeBytes } : entry, stored };
    }
  }

  /** Nothing of the file shows on it: neither its time nor that it can be executed. */
  #aboutSealed(): NewFile {
    return { mtimeS: this.#sealedAtS, executable: false };
  }

  async #pathFor(entry: Entry): Promise<Buffer> {
    const path = storedPath(entry);
    if (!path) throw new Error('only files that lie in the run are sent');
    if (entry.stored.kind === 'elsewhere') await this.makeLongPathsFolder();
    return path;
  }

  /** The folder for files whose own path is too long, made once it is needed. */
  makeLongPathsFolder(): Promise<void> {
    return (this.#longPathsFolder ??= this.#writer.directory(LONG_PATHS_FOLDER_PATH));
  }

  #reportChanging({ path }: Entry): void {
    const message = 'changed each time it was read; it is kept as it was read last';
    this.#onProblem({ path, kind: 'changing', code: 'CHANGING', message });
  }
}

/** An error of reading the source: about one file, and the run goes on. */
export type SourceError = Error & { readonly code: string };

export function isSourceError(error: unknown): error is SourceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error;
}

function finished(entry: Entry, stored: Stored, sha256: Buffer, isChanging: boolean): HashedEntry {
  return { ...entry, stored, sha256, ...(isChanging ? { unsettled: true } : {}) };
}

function aboutNewFile(entry: Entry): NewFile {
  const { mtimeNs, mode } = entry;
  return { mtimeS: Number(mtimeNs / 1_000_000_000n), mtimeNs, executable: (mode & 0o111) !== 0 };
}
