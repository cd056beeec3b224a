import { escapeName } from '@bakker/command-line';
import type { Entry } from '@bakker/impl-format';
import { damageOf } from '../browse/stored-content.ts';
import type { BlockPrints } from '../blocks/block-diff.ts';
import { MOST_BLOCKS_BYTES } from '../blocks/block-size.ts';
import type { LargeFiles } from '../blocks/large-files.ts';
import { StoredOtherwise } from '../ports/storage-account.ts';
import type { RunWriter } from '../ports/storage-account.ts';
import type { Sealing } from '../sealed/sealing.ts';
import { LARGE_FILE_BYTES } from './budget.ts';
import type { ContentLookup } from './content-lookup.ts';
import type { ContentSender } from './content-sender.ts';
import type { KnownContents, Located } from './known-content.ts';
import type { EntrySlot } from './outgoing-entries.ts';
import type { Tally } from './tally.ts';
import type { HashedEntry, OnRead, ReadLarge } from './read-entry.ts';

/** A file of which more is new than this share is looked for in the account before it is sent. */
const CHANGED_SHARE = 0.25;

/** A large file to be read. */
export interface LargeReading {
  readonly slot: EntrySlot;
  readonly known: KnownContents;
  readonly now: Entry;
  readonly before: Entry | undefined;
  readonly onRead: OnRead;
  /** Others of this size that are being sent, without this one. */
  readonly sameSize: Promise<unknown> | undefined;
  /** Links content that was read and turns out to be in the account; undefined if it is not. */
  readonly placeFound: (entry: HashedEntry) => Located | Promise<Located> | undefined;
}

export interface ChangedBlocksOptions {
  readonly writer: RunWriter;
  readonly lookup: ContentLookup;
  readonly sender: ContentSender;
  readonly tally: Tally;
  /** Files whose changed blocks are sent; opened when the first of them was changed or is new. */
  readonly large?: { readonly fromBytes: number; readonly open: () => Promise<LargeFiles> } | undefined;
  readonly sealing?: Sealing | undefined;
  readonly onWarning: (text: string) => void;
}

/** Makes large files that changed from what they were: only changed blocks are sent. */
export class ChangedBlocks {
  readonly #options: ChangedBlocksOptions;
  #large: Promise<LargeFiles> | undefined;
  #canPatch = true;

  constructor(options: ChangedBlocksOptions) {
    this.#options = options;
  }

  /** The fingerprints that are kept, if a file of this size has any. */
  open({ sizeBytes }: Entry): Promise<LargeFiles> | undefined {
    const { large } = this.#options;
    if (!large || sizeBytes < large.fromBytes || sizeBytes > MOST_BLOCKS_BYTES) return undefined;
    return (this.#large ??= large.open());
  }

  /**
   * Makes a changed file from one whose fingerprints are kept. Undefined if that can't be: nothing of it is in the run then.
   * @throws the errno error of the source
   */
  async sendFromKept(large: LargeFiles, reading: LargeReading): Promise<Located | undefined> {
    const older = this.#olderOf(large, reading);
    return older && (await this.#patch(large, reading, older));
  }

  /** As `sendFromKept`, from the parent's file whose lost fingerprints are made again where that costs less than sending. */
  async sendFromParent(large: LargeFiles, reading: LargeReading): Promise<Located | undefined> {
    const older = await this.#readBack(large, reading);
    return older && (await this.#patch(large, reading, older));
  }

  async #patch(
    large: LargeFiles,
    { slot, known, now, before, onRead, placeFound, sameSize }: LargeReading,
    older: WithBlocks,
  ): Promise<Located | undefined> {
    const { lookup, sender, tally } = this.#options;
    let isSought = sameSize !== undefined || known.mayHaveSize(now.sizeBytes);
    for (let blocks: BlockPrints | undefined = older.blocks; blocks; blocks = large.blocksOf(older)) {
      const sending = sender.transfer.sendPatched(now, {
        large,
        older: { place: older.place, sizeBytes: older.sealedBytes ?? older.sizeBytes },
        before: blocks,
        mostChangedBytes: isSought ? Math.max(CHANGED_SHARE * now.sizeBytes, LARGE_FILE_BYTES) : Infinity,
        isKnown: (entry) => lookup.find(known, entry, before) !== undefined,
        onRead,
      });
      known.sendingLarge(
        now,
        sending.then((done) => done.kind === 'sent' && known.add(done.arrived)),
      );
      const done = await sending.catch((error: unknown) => {
        // what was kept may be damaged there: it is sent whole the next time
        if (error instanceof StoredOtherwise) large.forget(older.sha256);
        throw error;
      });
      if (done.kind === 'sent') {
        noteBlocks(large, { entry: done.arrived.entry, blocks: done.blocks }, older.sha256);
        tally.count(done.arrived.entry, before ? 'changed' : 'new');
        return sender.sent(slot, done.arrived, done);
      }
      if (done.kind === 'refused') {
        if (done.isForAll) this.#canPatch = false;
        return undefined;
      }
      if (isSought && !done.isSame) await sameSize;
      const found = placeFound(done.entry);
      if (found) {
        noteFound(large, done);
        return await found;
      }
      // the fingerprints say so, and the hash does not: they are of no use
      if (done.isSame) large.forget(older.sha256);
      if (done.isSame || !isSought) return undefined;
      isSought = false;
    }
    return undefined;
  }

  /** What a changed file was: the parent's at the same path, or what was read from its inode before it moved. */
  #olderOf(large: LargeFiles, { known, now, before }: LargeReading): WithBlocks | undefined {
    const { writer, lookup } = this.#options;
    if (!this.#canPatch || !writer.openFileFrom) return undefined;
    const inParent = before && !lookup.isHurt(before) ? lookup.inParent(before) : undefined;
    const blocks = inParent && large.blocksOf(inParent);
    if (blocks) return { ...inParent, blocks };
    const last = large.lastOf(now);
    const found = last && known.byContent(last);
    if (!found || found instanceof Promise || lookup.isFromThisRun(found)) return undefined;
    const lastBlocks = large.blocksOf(found);
    return lastBlocks && { ...found, blocks: lastBlocks };
  }

  async #readBack(large: LargeFiles, { before }: LargeReading): Promise<WithBlocks | undefined> {
    const { writer, lookup, sealing, onWarning } = this.#options;
    const older = this.#canPatch && !sealing && before ? lookup.inParent(before) : undefined;
    if (!older || older.sealedBytes !== undefined || older.sizeBytes > MOST_BLOCKS_BYTES) return undefined;
    // those that are known were used already
    if (large.blocksOf(older)) return undefined;
    const { place, sizeBytes } = older;
    const pieces = await writer.readBack?.({ place, sizeBytes });
    if (!pieces) return undefined;
    const blocks = await large.learn(older, pieces).catch((error: unknown) => {
      damageOf(error);
      return undefined;
    });
    if (blocks) return { ...older, blocks };
    const name = `/${escapeName(place.path)}`;
    onWarning(`${name} is damaged in ${place.folder} on the storage; its content was sent again`);
    return undefined;
  }
}

/** An older content of a file, with its fingerprints. */
interface WithBlocks extends Located {
  readonly blocks: BlockPrints;
}

/** Keeps the fingerprints of a file that was read. @param instead - content whose own go for them */
export function noteBlocks(
  large: LargeFiles | undefined,
  { entry, blocks }: Pick<ReadLarge, 'entry'> & { readonly blocks: BlockPrints | undefined },
  instead?: Buffer,
): void {
  if (blocks) large?.note(entry, blocks, instead);
}

/** What is known already may know more: how it lies sealed. */
export function noteFound(large: LargeFiles | undefined, found: ReadLarge): void {
  if (large && !large.blocksOf(found.entry)) noteBlocks(large, found);
}
