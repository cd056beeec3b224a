import type { Entry } from '@bakker/impl-format';
import type { BlockPrints, Verdict } from '../blocks/block-diff.ts';
import type { Block } from '../blocks/block-feed.ts';
import type { LargeFiles } from '../blocks/large-files.ts';
import { PatchWriter } from '../blocks/patch-writer.ts';
import type { PatchTarget } from '../blocks/patch-writer.ts';
import { NotPatched } from '../ports/storage-account.ts';
import type { NewFile, OlderFile, PatchSink, RunWriter } from '../ports/storage-account.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { SealedPatch, Sealing } from '../sealed/sealing.ts';
import { hashedPieces } from './hashed-pieces.ts';
import { LARGE_READS, finished, isSourceError } from './read-entry.ts';
import type { Arrived, HashedEntry, OnRead } from './read-entry.ts';

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

/** What it takes from the run that the file goes into. */
interface PatchParts {
  readonly writer: RunWriter;
  readonly source: SourceTree;
  readonly sealing: Sealing | undefined;
  readonly pathFor: (entry: Entry) => Promise<Buffer>;
  /** Of the new file. */
  readonly about: () => NewFile;
  /** Told of a file that changed each time it was read. */
  readonly onChanging: (entry: Entry) => void;
}

/**
 * Reads a large file once, and sends what differs from an older one; what changes while it is read is read again, and
 * compared with what was sent. Nothing is made before the first difference.
 * @throws the errno error of the source, after which nothing of the file is in the run
 */
export async function sendPatched(now: Entry, options: PatchOptions, parts: PatchParts): Promise<Patched> {
  const { writer, sealing } = parts;
  const sealed = sealing?.patch(options.before.sealed);
  if (sealing && !sealed) return { kind: 'refused', isForAll: false };
  const older = { ...options.older, begins: options.before.sealed };
  const path = await parts.pathFor(now);
  const about = {
    ...parts.about(),
    expectedBytes: sealed ? sealed.mostStoredBytes(now.sizeBytes) : now.sizeBytes,
  };
  await using patch = new Patch(async () => writer.openFileFrom?.(path, older, about), sealed);
  try {
    const { entry: clear, blocks: clearBlocks, ...read } = await readAgainst(patch, now, { options, parts });
    const { sink } = patch;
    if (sink === undefined || options.isKnown(clear)) {
      await sink?.discard();
      const before = { ...clearBlocks, sealed: undefined };
      return { kind: 'read', entry: clear, blocks: before, isSame: !read.isChanged };
    }
    const stored = await sealed?.end();
    await sink.finish(stored?.sizeBytes ?? clear.sizeBytes, stored ? stored.sha256 : clear.sha256);
    const entry = stored ? { ...clear, sealedBytes: stored.sizeBytes } : clear;
    if (read.isChanging) parts.onChanging(entry);
    const { sentBytes } = read;
    return {
      kind: 'sent',
      arrived: { entry, place: { folder: writer.folder, path } },
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

/** Reads the file, and writes what differs; what changes while it is read is read again, and compared with what was sent. */
async function readAgainst(
  patch: Patch,
  now: Entry,
  { options, parts }: { options: PatchOptions; parts: PatchParts },
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
    await using file = parts.source.openFile(now);
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
