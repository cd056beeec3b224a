import type { Entry, Stored } from '@bakker/impl-format';
import type { BlockPrints, Verdict } from '../blocks/block-diff.ts';
import type { Block } from '../blocks/block-feed.ts';
import type { LargeFiles } from '../blocks/large-files.ts';
import { PatchWriter } from '../blocks/patch-writer.ts';
import type { PatchTarget } from '../blocks/patch-writer.ts';
import { NotPatched } from '../ports/storage-account.ts';
import type {
  FileSink,
  NewFile,
  OlderFile,
  PatchSink,
  RunWriter,
  StoredPlace,
} from '../ports/storage-account.ts';
import type { SmallFileReader, SourceProblem, SourceTree } from '../ports/source-tree.ts';
import type { SealedPatch, Sealing, StoredFile } from '../sealed/sealing.ts';
import { hashedPieces } from './hashed-pieces.ts';
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

/** A large file that was read. */
export interface ReadLarge {
  readonly entry: HashedEntry;
  /** Undefined where nobody asked for them. */
  readonly blocks: BlockPrints | undefined;
}

/** What came of making a file from an older one. */
export type Patched =
  | {
      readonly kind: 'sent';
      readonly arrived: Arrived;
      readonly blocks: BlockPrints;
      readonly sentBytes: number;
      /** What it takes on the storage that the older file does not, as far as can be told. */
      readonly storedBytes: number;
    }
  /** It was read, and nothing of it is in the run: it is the same as before, known from elsewhere, or very different. */
  | {
      readonly kind: 'read';
      readonly entry: HashedEntry;
      readonly blocks: BlockPrints;
      readonly isSame: boolean;
    }
  /** The older file can't be taken from. `isForAll`: nor can any other. */
  | { readonly kind: 'refused'; readonly isForAll: boolean };

export interface PatchOptions {
  readonly large: LargeFiles;
  readonly older: OlderFile;
  /** Of the older file; the memory is used up. */
  readonly before: BlockPrints;
  /** Changed bytes from which on the file is only read. */
  readonly mostChangedBytes: number;
  /** Whether content that was read turns out to be in the account. */
  readonly isKnown: (entry: HashedEntry) => boolean;
  readonly onRead?: OnRead | undefined;
}

/** Told how much of a large file was read, and sent if it is sent, since the last call. */
export type OnRead = (bytes: number) => void;

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

  /**
   * Reads a large file once, and sends what differs from an older one; what changes while it is read is read again, and
   * compared with what was sent. Nothing is made before the first difference.
   * @throws the errno error of the source, after which nothing of the file is in the run
   */
  async sendPatched(now: Entry, options: PatchOptions): Promise<Patched> {
    const sealed = this.#sealing?.patch(options.before.sealed);
    if (this.#sealing && !sealed) return { kind: 'refused', isForAll: false };
    const older = { ...options.older, begins: options.before.sealed };
    const path = await this.#pathFor(now);
    const about = {
      ...(sealed ? this.#aboutSealed() : aboutNewFile(now)),
      expectedBytes: sealed ? sealed.mostStoredBytes(now.sizeBytes) : now.sizeBytes,
    };
    await using patch = new Patch(async () => this.#writer.openFileFrom?.(path, older, about), sealed);
    try {
      const { entry: clear, blocks: clearBlocks, ...read } = await this.#patch(patch, now, options);
      const { sink } = patch;
      if (sink === undefined || options.isKnown(clear)) {
        await sink?.discard();
        const before = { ...clearBlocks, sealed: undefined };
        return { kind: 'read', entry: clear, blocks: before, isSame: !read.isChanged };
      }
      const stored = await sealed?.end();
      await sink.finish(stored?.sizeBytes ?? clear.sizeBytes, stored ? stored.sha256 : clear.sha256);
      const entry = stored ? { ...clear, sealedBytes: stored.sizeBytes } : clear;
      if (read.isChanging) this.#reportChanging(entry);
      const { sentBytes } = read;
      return {
        kind: 'sent',
        arrived: { entry, place: { folder: this.#writer.folder, path } },
        blocks: { ...clearBlocks, sealed: stored?.header },
        sentBytes,
        storedBytes: sink.isShared ? sentBytes : entry.sizeBytes,
      };
    } catch (error) {
      if (!isSourceError(error) && !(error instanceof NotPatched)) throw error;
      await patch.sink?.discard();
      if (error instanceof NotPatched) return { kind: 'refused', isForAll: error.isForAll };
      throw error;
    }
  }

  async #patch(
    patch: Patch,
    now: Entry,
    options: PatchOptions,
  ): Promise<{
    entry: HashedEntry;
    blocks: BlockPrints;
    isChanged: boolean;
    isChanging: boolean;
    sentBytes: number;
  }> {
    let { before } = options;
    let sentBytes = 0;
    let isChanged = false;
    for (let attempt = 1; ; attempt++) {
      await using file = this.#source.openFile(now);
      const { sizeBytes } = file.entry;
      const reading = options.large.reading(sizeBytes, before);
      using hashing = hashedPieces(file);
      const { sealed } = patch;
      const writer = new PatchWriter(async () => patch.target(), { tellsZeros: sealed !== undefined });
      sealed?.begin(sizeBytes);
      // what an earlier pass made is there; what this one starts is empty
      const isMade = patch.sink !== undefined;
      // zeros that the pass before told are told again: a hole that the file ends with decides its length
      const isTold = sealed !== undefined && isMade;
      if ((reading.isChanged || isTold) && !patch.isGivenUp) await writer.start();
      const take = async (part: Iterable<readonly [Verdict, Block]>): Promise<void> => {
        for (const [verdict, block] of part) {
          if (patch.isGivenUp) continue;
          const told = verdictFor(verdict, block, { sealed, isMade, before });
          if (told === 'write') sentBytes += block.lengthBytes;
          const isKept = told === 'keep' || told === 'there';
          const parts = sealed && isKept ? partsOf(block, told, sealed.chunkBytes) : undefined;
          for (const [verdict, part] of parts ?? [[told, block] as const]) {
            const waiting = writer.take(verdict, part);
            if (waiting) await waiting;
          }
        }
      };
      for await (const piece of hashing.pieces()) {
        const { length } = piece.bytes;
        await take(reading.add(piece.offsetBytes, piece.bytes));
        options.onRead?.(length);
        if (reading.changedBytes > options.mostChangedBytes) await patch.giveUp();
      }
      await take(reading.end());
      if (!patch.isGivenUp) await writer.end();
      isChanged ||= reading.isChanged;
      const isChanging = !file.isUnchanged();
      if (isChanging && attempt < LARGE_READS) {
        before = reading.blocks();
        continue;
      }
      const entry = finished(file.entry, now.stored, await hashing.sha256(sizeBytes), isChanging);
      return { entry, blocks: reading.blocks(), isChanged, isChanging, sentBytes };
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

/** Of a sealed file, what is not told apart by its fingerprint, too: where it ends, and that it ended elsewhere. */
function verdictFor(
  verdict: Verdict,
  { offsetBytes, lengthBytes }: Block,
  { sealed, isMade, before }: { sealed: SealedPatch | undefined; isMade: boolean; before: BlockPrints },
): Verdict {
  if (verdict !== 'keep') return verdict;
  if (sealed?.mustSeal(offsetBytes, lengthBytes, before.sizeBytes)) return 'write';
  return isMade ? 'there' : 'keep';
}

/**
 * A sealed block of several chunks: one that is zeros may lie in a hole that begins or ends within the block, which only holds
 * while nothing beside it changes, so it is told anew. Undefined for a block of one chunk.
 */
function partsOf(
  block: Block,
  kept: 'keep' | 'there',
  chunkBytes: number,
): (readonly [Verdict, Block])[] | undefined {
  const { offsetBytes, lengthBytes, bytes } = block;
  if (bytes === undefined || lengthBytes <= chunkBytes) return undefined;
  const zeros = Buffer.alloc(chunkBytes);
  return Array.from({ length: Math.ceil(lengthBytes / chunkBytes) }, (_, index) => {
    const part = bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);
    const isZero = part.compare(zeros, 0, part.length) === 0;
    const place = { ...block, offsetBytes: offsetBytes + index * chunkBytes, lengthBytes: part.length };
    return [isZero ? 'nothing' : kept, { ...place, bytes: part }];
  });
}

/** A file that is made from an older one as soon as something differs. */
class Patch implements AsyncDisposable {
  readonly #open: () => Promise<PatchSink | undefined>;
  readonly sealed: SealedPatch | undefined;
  #isGivenUp = false;
  sink: PatchSink | undefined;

  /** @param sealed - between the clear content and the file, if it lies sealed */
  constructor(open: () => Promise<PatchSink | undefined>, sealed: SealedPatch | undefined) {
    this.#open = open;
    this.sealed = sealed;
  }

  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  /** @throws NotPatched */
  async target(): Promise<PatchTarget> {
    this.sink ??= await this.#open();
    if (this.sink === undefined) throw new NotPatched('the older file is not there', { isForAll: false });
    this.sealed?.into(this.sink);
    return this.sealed ?? this.sink;
  }

  /** Nothing of it is in the run then. */
  async giveUp(): Promise<void> {
    this.#isGivenUp = true;
    await this.sink?.discard();
    this.sink = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sink?.[Symbol.asyncDispose]();
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

/** What is going to be written: holes are not. */
function dataBytesOf({ sizeBytes, extents }: Entry): number {
  return extents?.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) ?? sizeBytes;
}

function aboutNewFile(entry: Entry): NewFile {
  const { mtimeNs, mode } = entry;
  return { mtimeS: Number(mtimeNs / 1_000_000_000n), mtimeNs, executable: (mode & 0o111) !== 0 };
}
