import type { Entry } from '@bakker/impl-format';
import type { BlockPrints } from '../blocks/block-diff.ts';
import type { LargeFiles } from '../blocks/large-files.ts';
import type { FileSink, NewFile, RunWriter } from '../ports/storage-account.ts';
import type { SmallFileReader, SourceProblem, SourceTree } from '../ports/source-tree.ts';
import type { Sealing, StoredFile } from '../sealed/sealing.ts';
import { hashedPieces } from './hashed-pieces.ts';
import { LARGE_READS, finished, isSourceError } from './read-entry.ts';
import type { Arrived, HashedEntry, OnRead, ReadLarge } from './read-entry.ts';
import { sendPatched } from './send-patched.ts';
import type { PatchOptions, Patched } from './send-patched.ts';
import { LONG_PATHS_FOLDER_PATH, storedPath } from './stored-place.ts';

/** Files up to this size are read in one call and sent in one request: OpenSSH takes 255 KiB in one. */
export const WHOLE_FILE_BYTES = 255 * 1024;
/** Reads files of the source and sends their content into the run. */
export class Transfer {
  readonly #writer: RunWriter;
  readonly #source: SourceTree;
  readonly #reader: SmallFileReader;
  readonly #onProblem: (problem: SourceProblem) => void;
  readonly #sealing: Sealing | undefined;
  readonly #sealedAtS: number;
  #longPathsFolder: Promise<void> | undefined;

  constructor(options: {
    writer: RunWriter;
    source: SourceTree;
    reader: SmallFileReader;
    onProblem: (problem: SourceProblem) => void;
    sealing?: Sealing | undefined;
  }) {
    this.#writer = options.writer;
    this.#source = options.source;
    this.#reader = options.reader;
    this.#onProblem = options.onProblem;
    this.#sealing = options.sealing;
    this.#sealedAtS = Math.floor(Date.now() / 1000);
  }

  get hasLongPathsFolder(): boolean {
    return this.#longPathsFolder !== undefined;
  }

  /** Reads a small file. @throws the errno error of the source */
  async readSmall(now: Entry): Promise<{ entry: HashedEntry; content: Buffer }> {
    const { entry: read, content, sha256, isChanging } = await this.#reader.read(now);
    const entry = finished(read, now.stored, sha256, isChanging);
    if (isChanging) this.#reportChanging(entry);
    return { entry, content };
  }

  /** Lets go of what `readSmall` read. */
  drop(content: Buffer): void {
    this.#reader.recycle(content);
  }

  /** Sends what `readSmall` read, and lets go of it. */
  async sendSmall(entry: HashedEntry, content: Buffer): Promise<Arrived> {
    if (this.#sealing) return this.#sendSealed(this.#sealing, entry, content);
    const path = entry.stored.kind === 'own' ? entry.path : await this.#pathFor(entry);
    await this.#writer.file(path, content, { ...aboutNewFile(entry), sha256: entry.sha256 });
    this.#reader.recycle(content);
    return { entry, place: { folder: this.#writer.folder, path } };
  }

  async #sendSealed(sealing: Sealing, entry: HashedEntry, content: Buffer): Promise<Arrived> {
    const path = entry.stored.kind === 'own' ? (entry.stored.at ?? entry.path) : await this.#pathFor(entry);
    const { bytes, sha256 } = await sealing.whole(content);
    this.#reader.recycle(content);
    await this.#writer.file(path, bytes, { ...this.#aboutSealed(), ...(sha256 && { sha256 }) });
    sealing.recycle(bytes);
    return { entry: { ...entry, sealedBytes: bytes.length }, place: { folder: this.#writer.folder, path } };
  }

  /** Hashes a large file; undefined if it changed meanwhile. @throws the errno error of the source */
  async hashLarge(
    now: Entry,
    large: LargeFiles | undefined,
    onRead?: OnRead,
  ): Promise<ReadLarge | undefined> {
    await using file = this.#source.openFile(now);
    const { sizeBytes } = file.entry;
    const reading = large?.reading(sizeBytes);
    using hashing = hashedPieces(file);
    for await (const piece of hashing.pieces()) {
      const { length } = piece.bytes;
      reading?.pass(piece.offsetBytes, piece.bytes);
      onRead?.(length);
    }
    if (!file.isUnchanged()) return undefined;
    const entry = finished(file.entry, now.stored, await hashing.sha256(sizeBytes), false);
    return { entry, blocks: reading?.finish() };
  }

  /**
   * Reads and sends a large file in one pass; again if it changed meanwhile. Holds the sink's window of pieces.
   * @throws the errno error of the source, after which nothing of the file is in the run
   */
  async sendLarge(now: Entry, large: LargeFiles | undefined, onRead?: OnRead): Promise<Arrived & ReadLarge> {
    const path = await this.#pathFor(now);
    const about = {
      ...(this.#sealing ? this.#aboutSealed() : { ...aboutNewFile(now), expectedBytes: dataBytesOf(now) }),
    };
    await using sink = await this.#writer.openFile(path, about);
    try {
      const { entry, stored, blocks } = await this.#fill(sink, now, { large, onRead });
      await sink.finish(stored?.sizeBytes ?? entry.sizeBytes, stored ? stored.sha256 : entry.sha256);
      return { entry, blocks, place: { folder: this.#writer.folder, path } };
    } catch (error) {
      if (isSourceError(error)) await sink.discard();
      throw error;
    }
  }

  async #fill(
    sink: FileSink,
    now: Entry,
    { large, onRead }: { large: LargeFiles | undefined; onRead: OnRead | undefined },
  ): Promise<{ entry: HashedEntry; stored: StoredFile | undefined; blocks: BlockPrints | undefined }> {
    for (let attempt = 1; ; attempt++) {
      await using file = this.#source.openFile(now);
      const { sizeBytes } = file.entry;
      const isHashed = this.#writer.tellsHashes === true;
      using sealed = this.#sealing?.file(sink, { sizeBytes, isHashed }) ?? null;
      // what is shared is read from the run: the source may change between the sharing and the reading
      const mayShare = sealed === null && attempt < LARGE_READS;
      const shared = mayShare ? sink.share?.(file.descriptor) : undefined;
      const reading = large?.reading(sizeBytes);
      using hashing = hashedPieces(file, shared);
      for await (const piece of hashing.pieces()) {
        const { length } = piece.bytes;
        reading?.pass(piece.offsetBytes, piece.bytes);
        if (shared === undefined) await (sealed ?? sink).write(piece.offsetBytes, piece.bytes);
        onRead?.(length);
      }
      const isChanging = !file.isUnchanged();
      if (isChanging && attempt < LARGE_READS) {
        await sink.restart();
        continue;
      }
      const stored = await sealed?.end();
      const read = finished(file.entry, now.stored, await hashing.sha256(sizeBytes), isChanging);
      if (isChanging) this.#reportChanging(read);
      const entry = stored ? { ...read, sealedBytes: stored.sizeBytes } : read;
      const blocks = reading && { ...reading.finish(), sealed: stored?.header };
      return { entry, stored, blocks };
    }
  }

  /** As `sendPatched`, into this run. */
  sendPatched(now: Entry, options: PatchOptions): Promise<Patched> {
    return sendPatched(now, options, {
      writer: this.#writer,
      source: this.#source,
      sealing: this.#sealing,
      pathFor: (entry) => this.#pathFor(entry),
      about: () => (this.#sealing ? this.#aboutSealed() : aboutNewFile(now)),
      onChanging: (entry) => this.#reportChanging(entry),
    });
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

/** What is going to be written: holes are not. */
function dataBytesOf({ sizeBytes, extents }: Entry): number {
  return extents?.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) ?? sizeBytes;
}

function aboutNewFile(entry: Entry): NewFile {
  const { mtimeNs, mode } = entry;
  // tmpfs and btrfs have seconds of 64 bits, of which the last, rounded, are no time any more
  const mtimeS = Math.min(Number(mtimeNs / 1_000_000_000n), Number.MAX_SAFE_INTEGER);
  return { mtimeS, mtimeNs, executable: (mode & 0o111) !== 0 };
}
