import { escapeName } from '@bakker/command-line';
import { markMoved, UnchangedLines } from '@bakker/impl-format';
import type { Entry, WrittenEntry } from '@bakker/impl-format';
import type { BlockPrints } from '../blocks/block-diff.ts';
import { MOST_BLOCKS_BYTES } from '../blocks/block-size.ts';
import type { LargeFiles } from '../blocks/large-files.ts';
import type { Progress } from '../ports/progress.ts';
import { StoredOtherwise } from '../ports/storage-account.ts';
import type { LinkOutcome, RunWriter } from '../ports/storage-account.ts';
import type { Naming, Sealing } from '../sealed/sealing.ts';
import type { SmallFileReader, SourceProblem, SourceTree } from '../ports/source-tree.ts';
import { damageOf } from '../browse/stored-content.ts';
import { LARGE_FILE_BYTES, contentBudgets } from './budget.ts';
import type { Budget } from './budget.ts';
import { compareEntries, isMetadataEqual } from './compare.ts';
import type { Difference } from './compare.ts';
import { InOrder } from './in-order.ts';
import type { Slot } from './in-order.ts';
import type { Joined } from './join-parent.ts';
import { Keeping } from './keeping.ts';
import type { KeepTeller } from './keeping.ts';
import { toLocated } from './known-content.ts';
import type { KnownContents, Located } from './known-content.ts';
import { isSameLine } from './same-line.ts';
import { chooseStored, storedPath } from './stored-place.ts';
import type { Tally } from './tally.ts';
import { Transfer, WHOLE_FILE_BYTES, isSourceError } from './transfer.ts';
import type { Arrived, HashedEntry, OnRead, ReadLarge } from './transfer.ts';

/** Small files in flight: more only cost memory (docs/performance.md). */
const SMALL_FILES = 192;
/** Entries that may wait for the slowest one before them. */
const WINDOW_ENTRIES = 16_384;
/** A file of which more is new than this share is looked for in the account before it is sent. */
const CHANGED_SHARE = 0.25;
/** How often the storage is asked for room, in entries. */
const ENTRIES_A_CHECK = 64;

export interface PusherOptions {
  readonly writer: RunWriter;
  readonly source: SourceTree;
  readonly reader: SmallFileReader;
  readonly parent: string | undefined;
  /** Opened when the first file needs it: a run in which nothing changed never does. */
  readonly knownContents: () => Promise<KnownContents>;
  /** Files whose changed blocks are sent; opened when the first of them was changed or is new. */
  readonly large?: { readonly fromBytes: number; readonly open: () => Promise<LargeFiles> } | undefined;
  /** Read all content, whatever the times say. */
  readonly checksum: boolean;
  /** Leave what is the same as in the parent to the storage, where it can do that. */
  readonly mayKeep: boolean;
  /** Seals what is sent, and says where it lies; both or none. */
  readonly sealing?: Sealing | undefined;
  readonly naming?: Naming | undefined;
  /** Tells what stays, where the order of paths on the storage is another one. */
  readonly keeping?: KeepTeller | undefined;
  /** Whether what has this ctime was the same when the parent was made. */
  readonly isSettled: (ctimeNs: bigint) => boolean;
  readonly tally: Tally;
  readonly progress: Pick<Progress, 'advance'>;
  /** For contents in flight. */
  readonly memoryBytes: number;
  readonly onProblem: (problem: SourceProblem) => void;
  readonly onWarning: (text: string) => void;
}

/**
 * Puts every entry of the scan into the run by the cheapest way that is true: a link to the parent, a link to content
 * that is known elsewhere, an upload. Entries come out complete and in order. What is in flight is bounded.
 */
export class Pusher {
  readonly #options: PusherOptions;
  readonly #transfer: Transfer;
  readonly #entries = new InOrder<WrittenEntry>();
  readonly #small: Budget;
  readonly #large: Budget;
  readonly #keeping: KeepTeller | undefined;
  readonly #wholeBytes: number;
  #known: KnownContents | undefined;
  #largeFiles: Promise<LargeFiles> | undefined;
  #canPatch = true;
  /** Bytes of large files under way that the bar shows already. */
  readonly #shownBytes = new Map<Slot<WrittenEntry>, number>();
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: PusherOptions) {
    this.#options = options;
    this.#transfer = new Transfer(options);
    const { memoryBytes } = options;
    ({ small: this.#small, large: this.#large } = contentBudgets({ memoryBytes, smallFiles: SMALL_FILES }));
    const { keeper } = options.writer;
    this.#keeping = options.mayKeep ? (options.keeping ?? (keeper && new Keeping(keeper))) : undefined;
    this.#wholeBytes = options.sealing?.wholeBytes ?? WHOLE_FILE_BYTES;
  }

  /**
   * Takes the next batch of what scan and parent say: `left` the scan, `right` the parent.
   * @returns entries that are done, in manifest order
   * @throws the first failure of any request
   */
  async push(pairs: readonly Joined[]): Promise<readonly WrittenEntry[]> {
    const { writer, tally } = this.#options;
    let untilCheck = 0;
    for (const pair of pairs) {
      if (--untilCheck < 0) {
        const ready = writer.ready();
        if (ready) await ready;
        this.#throwIfFailed();
        untilCheck = ENTRIES_A_CHECK;
      }
      if (pair instanceof UnchangedLines) {
        if (this.#areKept(pair)) continue;
        for (const before of pair.entries()) {
          tally.countBefore(before);
          const waiting = this.#placeNext(this.#asScanned(before), before);
          if (waiting) await waiting;
        }
        continue;
      }
      const { left: now, right: before } = pair;
      if (before) tally.countBefore(before);
      if (!now) {
        if (before) {
          tally.countVanished(before);
          this.#keeping?.pass(before);
        }
        continue;
      }
      const waiting = this.#placeNext(now, before);
      if (waiting) await waiting;
    }
    return this.#takeUntil((waitingCount) => waitingCount < WINDOW_ENTRIES);
  }

  /** Whether the run has a folder for files whose own path is too long. */
  get hasLongPathsFolder(): boolean {
    return this.#transfer.hasLongPathsFolder;
  }

  /** Waits for everything in flight. @returns the remaining entries */
  finish(): Promise<readonly WrittenEntry[]> {
    this.#keeping?.rest();
    return this.#takeUntil((waitingCount) => waitingCount === 0);
  }

  /** Whether the storage takes over what stands in all of these lines, and they go into the manifest as they are. */
  #areKept(lines: UnchangedLines): boolean {
    const { writer, naming, keeping, checksum, tally } = this.#options;
    if (!this.#keeping || keeping || checksum || naming?.nameKey !== undefined) return false;
    if (writer.parent?.hasHurt === true || lines.longestPathBytes > writer.maxPathBytes) return false;
    tally.countSame(lines.fileCount, lines.bytes);
    this.#keeping.keep(lines.lastPath, lines.fileCount);
    this.#fill(this.#entries.add(), lines);
    return true;
  }

  /** What the scan saw of a file that is as the parent says. Where its content is not the parent's, nothing of it is known. */
  #asScanned(before: Entry): Entry {
    if (this.#options.parent !== undefined && !this.#options.checksum) return before;
    const { sha256: _sha256, sealedBytes: _sealedBytes, ...scanned } = before;
    return scanned;
  }

  #placeNext(now: Entry, before: Entry | undefined): Promise<void> | undefined {
    const preparing = this.#options.naming?.prepare(now, before);
    return preparing ? preparing.then(() => this.#place(now, before)) : this.#place(now, before);
  }

  /** Undefined, or a promise to wait for before the next entry. */
  #place(scanned: Entry, before: Entry | undefined): Promise<void> | undefined {
    const { naming, writer } = this.#options;
    const placed = naming?.place(scanned, before);
    const now = placed?.entry ?? placeClear(scanned, writer.maxPathBytes);
    const difference = differenceOf(now, before);
    const isAsBefore = placed?.isAsBefore ?? true;
    const isKept = before !== undefined && this.#isKept(now, before, isAsBefore ? difference : 'content');
    // a line tells nothing of the place where names are hidden: it is only taken over with that
    const same = isAsBefore ? before : undefined;
    switch (now.type) {
      case 'directory':
        return this.#placeFolder({ now, before, same, isKept });
      case 'symlink':
        return this.#placeSymlink({ now, before, same, difference, isKept });
      case 'file':
        return this.#placeFile({ now, before, same, difference, isKept });
      default:
        this.#count(now, before, difference);
        return this.#fill(this.#entries.add(), takenOver(now, same));
    }
  }

  /** Whether the storage takes the parent's object over by itself. Says so, or says that it must not. */
  #isKept(now: Entry, before: Entry, difference: Difference): boolean {
    const keeping = this.#keeping;
    if (!keeping || before.stored.kind !== 'own') return false;
    const isTrusted =
      now.type === 'directory' && difference !== 'content'
        ? before.type === 'directory'
        : isUnchanged(difference);
    if (
      isTrusted &&
      now.stored.kind === 'own' &&
      (now.type !== 'file' || (!this.#options.checksum && !this.#isHurt(before)))
    ) {
      keeping.keep(now.path);
      return true;
    }
    keeping.pass(before);
    return false;
  }

  #isHurt(before: Entry): boolean {
    const path = storedPath(before);
    return path !== undefined && this.#options.writer.parent?.isHurt(path) === true;
  }

  #placeFolder({ now, before, same, isKept }: Omit<Placing, 'difference'>): undefined {
    const slot = this.#entries.add();
    const { tally } = this.#options;
    if (now.unreadable) tally.count(now, 'unreadable');
    // folders are not counted, so that a file whose place one takes would be missing from the sum
    if (before) tally.countVanished(before);
    const entry = takenOver(now, same);
    const path = storedPath(now);
    if (path === undefined || isKept) return this.#fill(slot, entry);
    this.#settle(this.#options.writer.directory(path).then(() => this.#fill(slot, entry)));
    return undefined;
  }

  #placeSymlink({ now, before, same, difference, isKept }: Placing): undefined {
    const { writer, parent } = this.#options;
    const slot = this.#entries.add();
    this.#count(now, before, difference);
    const entry = takenOver(now, same);
    if (now.stored.kind === 'manifest' || isKept) return this.#fill(slot, entry);
    const make = async () => {
      const isStored = await writer.symlink(now.path, now.target ?? Buffer.alloc(0));
      this.#fill(slot, isStored ? entry : { ...now, stored: { kind: 'manifest' } });
    };
    const oldPath = before && difference !== 'content' ? storedPath(before) : undefined;
    if (!oldPath || parent === undefined) this.#settle(make());
    else {
      const linked = writer.link(now.path, { folder: parent, path: oldPath }, 0);
      this.#settle(linked.then((outcome) => (outcome === 'linked' ? this.#fill(slot, entry) : make())));
    }
    return undefined;
  }

  #placeFile({ now, before, same, difference, isKept }: Placing): Promise<void> | undefined {
    if (isUnchanged(difference) && !this.#options.checksum) {
      const inParent = before && this.#inParent(before);
      if (before && inParent) {
        const slot = this.#entries.add();
        this.#count(now, before, difference);
        const entry = takenOver(now, same, inParent);
        return isKept ? this.#fill(slot, entry) : this.#linkOrSend(slot, entry, inParent);
      }
    }
    if (this.#known) return this.#placeUnknown(this.#known, now, before);
    return this.#options.knownContents().then((known) => {
      this.#known = known;
      return this.#placeUnknown(known, now, before);
    });
  }

  /** Content that the parent may not have under this path: found elsewhere, or read. */
  #placeUnknown(known: KnownContents, now: Entry, before: Entry | undefined): Promise<void> | undefined {
    if (now.sizeBytes > 0 && !this.#options.checksum) {
      const group = known.group(now);
      if (group) {
        this.#placeByGroup({ slot: this.#entries.add(), known, now, before, group });
        return undefined;
      }
      const moved = before?.inode === now.inode ? undefined : known.byInode(now);
      if (moved) {
        const slot = this.#entries.add();
        const isNew = this.#isFromThisRun(moved);
        this.#options.tally.count(now, before ? 'changed' : isNew ? 'new' : 'moved');
        if (now.linkCount === 1 && !isNew) this.#options.tally.countMovedAway();
        known.startGroup(now, Promise.resolve(moved));
        this.#linkOrSend(slot, isNew ? now : this.#asMoved(now, moved), moved);
        return undefined;
      }
    }
    const room = (now.sizeBytes <= this.#wholeBytes ? this.#small : this.#large).room();
    const read = () => this.#read(this.#entries.add(), known, now, before);
    return room ? room.then(read) : read();
  }

  /**
   * Found by its inode, and unchanged since before the parent was made: its line there differs in the path alone. That the
   * parent has no such line, because the file was left out of it, is noticed where the lines are put together.
   */
  #asMoved(now: Entry, { place, sha256, sealedBytes }: Located): Entry {
    if (now.stored.kind !== 'own' || !this.#options.isSettled(now.ctimeNs)) return now;
    return markMoved({ ...now, sha256, ...sealedAs(sealedBytes) }, place.path);
  }

  /** Another name of an inode that is on its way: linked when it has arrived, if it is still the same. */
  #placeByGroup(options: {
    slot: Slot<WrittenEntry>;
    known: KnownContents;
    now: Entry;
    before: Entry | undefined;
    group: Promise<Located>;
  }): void {
    const { slot, known, now, before, group } = options;
    this.#settle(
      group.then(
        (first) => {
          if (first.sizeBytes !== now.sizeBytes) return this.#read(slot, known, now, before);
          const { tally } = this.#options;
          const isSame = before?.sha256?.equals(first.sha256) === true && before.type === 'file';
          if (isSame) tally.count(now, isMetadataEqual(now, before) ? 'unchanged' : 'metadata');
          else tally.count(now, before ? 'changed' : 'new');
          return this.#linkOrSend(slot, now, first);
        },
        () => this.#read(slot, known, now, before),
      ),
    );
  }

  /** Reads a file, and links or sends what it holds. */
  #read(slot: Slot<WrittenEntry>, known: KnownContents, now: Entry, before: Entry | undefined): undefined {
    if (now.sizeBytes <= this.#wholeBytes) this.#readSmall(slot, known, now, before);
    else this.#settle(this.#readLarge(slot, known, now, before));
  }

  #readSmall(slot: Slot<WrittenEntry>, known: KnownContents, now: Entry, before: Entry | undefined): void {
    const located = this.#placeSmall(slot, known, now, before);
    if (now.linkCount > 1) this.#startGroup(known, now, located);
    this.#settle(located);
  }

  async #placeSmall(
    slot: Slot<WrittenEntry>,
    known: KnownContents,
    now: Entry,
    before: Entry | undefined,
  ): Promise<Located | undefined> {
    this.#small.take(now.sizeBytes);
    try {
      const { entry, content } = await this.#transfer.readSmall(now);
      const found = this.#placeFound(slot, known, entry, before);
      if (found) {
        this.#transfer.drop(content);
        return await found;
      }
      this.#countRead(entry, before);
      const upload = this.#transfer.sendSmall(entry, content);
      known.sending(entry, upload);
      const arrived = await upload;
      this.#arrived(slot, known, arrived);
      return toLocated(arrived);
    } catch (error) {
      this.#unreadableOrThrow(slot, now, error);
      return undefined;
    } finally {
      this.#small.give(now.sizeBytes);
    }
  }

  /** Other names of an inode that is being read wait for it. */
  #startGroup(known: KnownContents, now: Entry, located: Promise<Located | undefined>): void {
    known.startGroup(
      now,
      located.then((found) => {
        if (found) return found;
        throw new Error('it is not in this run');
      }),
    );
  }

  #readLarge(
    slot: Slot<WrittenEntry>,
    known: KnownContents,
    now: Entry,
    before: Entry | undefined,
  ): Promise<unknown> {
    const located = this.#placeLarge(slot, known, now, before);
    this.#startGroup(known, now, located);
    return located;
  }

  /** Sends changed blocks alone where it can. Hashes a large file before it is sent where the account may have it already. */
  async #placeLarge(
    slot: Slot<WrittenEntry>,
    known: KnownContents,
    now: Entry,
    before: Entry | undefined,
  ): Promise<Located | undefined> {
    this.#large.take(LARGE_FILE_BYTES);
    try {
      const large = this.#mayHaveBlocks(now) ? await this.#blocks() : undefined;
      const onRead = this.#showing(slot, now);
      const reading = { slot, known, now, before, onRead };
      const older = large && this.#olderOf(large, reading);
      const patched = older && (await this.#patch(large, reading, older));
      if (patched) return patched;
      const sameSize = known.largeInFlight(now.sizeBytes);
      if (sameSize || before?.sizeBytes === now.sizeBytes || known.mayHaveSize(now.sizeBytes)) {
        const [hashed] = await Promise.all([this.#transfer.hashLarge(now, large, onRead), sameSize]);
        const found = hashed && this.#placeFound(slot, known, hashed.entry, before);
        if (hashed && found) {
          noteFound(large, hashed);
          return await found;
        }
      }
      const readBack = large && (await this.#readBack(large, reading));
      const patchedAfterAll = readBack && (await this.#patch(large, reading, readBack));
      if (patchedAfterAll) return patchedAfterAll;
      const upload = this.#transfer.sendLarge(now, large, onRead);
      known.sendingLarge(
        now,
        upload.then((arrived) => known.add(arrived)),
      );
      const arrived = await upload;
      noteBlocks(large, arrived, before?.sha256);
      this.#countRead(arrived.entry, before);
      this.#sent(slot, arrived);
      return toLocated(arrived);
    } catch (error) {
      this.#unreadableOrThrow(slot, now, error);
      return undefined;
    } finally {
      this.#large.give(LARGE_FILE_BYTES);
    }
  }

  #mayHaveBlocks({ sizeBytes }: Entry): boolean {
    const { large } = this.#options;
    return large !== undefined && sizeBytes >= large.fromBytes && sizeBytes <= MOST_BLOCKS_BYTES;
  }

  #blocks(): Promise<LargeFiles> | undefined {
    return (this.#largeFiles ??= this.#options.large?.open());
  }

  /** Makes a changed file from the one it was. Undefined if that can't be: nothing of it is in the run then. */
  async #patch(
    large: LargeFiles,
    { slot, known, now, before, onRead }: Reading,
    older: WithBlocks,
  ): Promise<Located | undefined> {
    const sameSize = known.largeInFlight(now.sizeBytes);
    let isSought = sameSize !== undefined || known.mayHaveSize(now.sizeBytes);
    for (let blocks: BlockPrints | undefined = older.blocks; blocks; blocks = large.blocksOf(older)) {
      const sending = this.#transfer.sendPatched(now, {
        large,
        older: { place: older.place, sizeBytes: older.sealedBytes ?? older.sizeBytes },
        before: blocks,
        mostChangedBytes: isSought ? Math.max(CHANGED_SHARE * now.sizeBytes, LARGE_FILE_BYTES) : Infinity,
        isKnown: (entry) => this.#findContent(known, entry, before) !== undefined,
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
        this.#countRead(done.arrived.entry, before);
        this.#sent(slot, done.arrived, done);
        return toLocated(done.arrived);
      }
      if (done.kind === 'refused') {
        if (done.isForAll) this.#canPatch = false;
        return undefined;
      }
      if (isSought && !done.isSame) await sameSize;
      const found = this.#placeFound(slot, known, done.entry, before);
      if (found) {
        noteFound(large, done);
        return found;
      }
      // the fingerprints say so, and the hash does not: they are of no use
      if (done.isSame) large.forget(older.sha256);
      if (done.isSame || !isSought) return undefined;
      isSought = false;
    }
    return undefined;
  }

  /** What a changed file was: the parent's at the same path, or what was read from its inode before it moved. */
  #olderOf(large: LargeFiles, { known, now, before }: Reading): WithBlocks | undefined {
    if (!this.#canPatch || !this.#options.writer.openFileFrom) return undefined;
    const inParent = before && !this.#isHurt(before) ? this.#inParent(before) : undefined;
    const blocks = inParent && large.blocksOf(inParent);
    if (blocks) return { ...inParent, blocks };
    const last = large.lastOf(now);
    const found = last && known.byContent(last);
    if (!found || found instanceof Promise || this.#isFromThisRun(found)) return undefined;
    const lastBlocks = large.blocksOf(found);
    return lastBlocks && { ...found, blocks: lastBlocks };
  }

  /** The parent's file whose lost fingerprints are made again, where that costs less than sending the new one whole. */
  async #readBack(large: LargeFiles, { before }: Reading): Promise<WithBlocks | undefined> {
    const { writer, sealing, onWarning } = this.#options;
    const older = this.#canPatch && !sealing && before ? this.#inParent(before) : undefined;
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

  /** Links content that was read and turns out to be in the account: to what is told. Undefined if it is not. */
  #placeFound(
    slot: Slot<WrittenEntry>,
    known: KnownContents,
    entry: HashedEntry,
    before: Entry | undefined,
  ): Located | Promise<Located> | undefined {
    const inParent = before && this.#sameInParent(entry, before);
    if (before && inParent) {
      this.#options.tally.count(entry, isMetadataEqual(entry, before) ? 'unchanged' : 'metadata');
      known.found(entry, inParent);
      known.startGroup(entry, Promise.resolve(inParent));
      this.#linkOrSend(slot, entry, inParent);
      return inParent;
    }
    const found = this.#findContent(known, entry, before);
    if (!found) return undefined;
    const isNew = found instanceof Promise || this.#isFromThisRun(found);
    this.#options.tally.count(entry, before ? 'changed' : isNew ? 'new' : 'moved');
    if (!isNew && !before) this.#options.tally.countMovedFrom(found.place.path);
    const located = Promise.resolve(found);
    known.startGroup(entry, located);
    this.#settle(
      located.then((there) => {
        known.found(entry, there);
        this.#linkOrSend(slot, entry, there);
      }),
    );
    return found;
  }

  #findContent(
    known: KnownContents,
    entry: HashedEntry,
    before: Entry | undefined,
  ): Located | Promise<Located> | undefined {
    return (
      (before && this.#sameInParent(entry, before)) ??
      (entry.sizeBytes === 0 ? undefined : known.byContent(entry))
    );
  }

  #sameInParent(entry: HashedEntry, before: Entry): Located | undefined {
    const inParent = this.#inParent(before);
    const isSame = inParent?.sha256.equals(entry.sha256) && before.sizeBytes === entry.sizeBytes;
    return isSame ? inParent : undefined;
  }

  /** Sent by this run, or by an attempt at it that was cut off. */
  #isFromThisRun({ place }: Located): boolean {
    const { folder, carriedFolders } = this.#options.writer;
    return place.folder === folder || carriedFolders.includes(place.folder);
  }

  /** The one way to link: from a copy made for a full inode, else from where it was found; else the source is sent. */
  #linkOrSend(slot: Slot<WrittenEntry>, now: Entry, found: Located): undefined {
    const copy = this.#known?.copyOf(found);
    const fromCopy = copy?.then(
      (copied) => this.#link(now, copied),
      () => this.#link(now, found),
    );
    const outcome = fromCopy ?? this.#link(now, found);
    this.#settle(
      outcome.then((answer) => {
        if (answer !== 'linked') return this.#sendInstead({ slot, now, found, usedCopy: copy, answer });
        this.#noteNewName(now, found);
        const isWhole =
          now.sha256 !== undefined &&
          now.sha256.equals(found.sha256) &&
          now.sealedBytes === found.sealedBytes;
        return this.#fill(
          slot,
          isWhole ? now : { ...now, sha256: found.sha256, ...sealedAs(found.sealedBytes) },
        );
      }),
    );
  }

  /** Content that has another name from this run on is to be found by that, when it moves on. */
  #noteNewName(now: Entry, found: Located): void {
    const path = storedPath(now);
    if (!path || path.equals(found.place.path) || this.#isFromThisRun(found)) return;
    const entry = { ...now, sha256: found.sha256, ...sealedAs(found.sealedBytes) };
    this.#known?.add({ entry, place: { folder: this.#options.writer.folder, path } });
  }

  #link(now: Entry, { place, sizeBytes: clearBytes, sealedBytes }: Located): Promise<LinkOutcome> {
    const sizeBytes = sealedBytes ?? clearBytes;
    const path = storedPath(now);
    if (!path) throw new Error('only files that lie in the run are linked');
    const { writer } = this.#options;
    if (now.stored.kind === 'own') return writer.link(path, place, sizeBytes);
    return this.#transfer.makeLongPathsFolder().then(() => writer.link(path, place, sizeBytes));
  }

  /** The old file is gone or takes no more links: the source has the content still. */
  async #sendInstead(options: {
    slot: Slot<WrittenEntry>;
    now: Entry;
    found: Located;
    usedCopy: Promise<Located> | undefined;
    answer: 'missing' | 'hurt' | 'refused';
  }): Promise<void> {
    const { slot, now, found, usedCopy, answer } = options;
    const known = (this.#known ??= await this.#options.knownContents());
    // many links of one full inode are refused at once: the first makes a copy, the others link to it
    const copy = known.copyOf(found);
    if (copy && copy !== usedCopy) return this.#linkOrSend(slot, now, found);
    if (answer !== 'refused') {
      known.forget(found);
      const name = `/${escapeName(found.place.path)}`;
      const what = answer === 'hurt' ? 'is damaged in' : 'is missing from';
      this.#options.onWarning(
        `${name} ${what} ${found.place.folder} on the storage; its content was sent again`,
      );
    }
    const again = this.#sendAgain(now);
    // only if the content is still the same may others link to it
    known.startCopy(
      found,
      again.then((arrived) => {
        if (arrived.entry.sha256.equals(found.sha256)) return arrived;
        throw new Error('the source has changed since');
      }),
    );
    try {
      this.#arrived(slot, known, await again);
    } catch (error) {
      this.#unreadableOrThrow(slot, now, error);
    }
  }

  async #sendAgain(now: Entry): Promise<Arrived> {
    const isSmall = now.sizeBytes <= this.#wholeBytes;
    const budget = isSmall ? this.#small : this.#large;
    const room = budget.room();
    if (room) await room;
    const heldBytes = isSmall ? now.sizeBytes : LARGE_FILE_BYTES;
    budget.take(heldBytes);
    try {
      if (!isSmall) return await this.#transfer.sendLarge(now, undefined);
      const { entry, content } = await this.#transfer.readSmall(now);
      return await this.#transfer.sendSmall(entry, content);
    } finally {
      budget.give(heldBytes);
    }
  }

  #arrived(slot: Slot<WrittenEntry>, known: KnownContents, arrived: Arrived): void {
    known.add(arrived);
    this.#sent(slot, arrived);
  }

  /** @param bytes - less than the whole, if it was made from an older file */
  #sent(
    slot: Slot<WrittenEntry>,
    { entry }: Arrived,
    { sentBytes, storedBytes }: { sentBytes: number; storedBytes: number } = {
      sentBytes: entry.sizeBytes,
      storedBytes: entry.sizeBytes,
    },
  ): void {
    const { brought } = this.#options.tally;
    brought.sealedBytes += entry.sealedBytes ?? 0;
    brought.sentBytes += sentBytes;
    brought.storedBytes += storedBytes;
    this.#fill(slot, entry);
  }

  #inParent(before: Entry): Located | undefined {
    const { parent } = this.#options;
    const path = storedPath(before);
    if (parent === undefined || !path || before.type !== 'file' || !before.sha256) return undefined;
    const { sha256, sizeBytes, sealedBytes } = before;
    return { place: { folder: parent, path }, sha256, sizeBytes, sealedBytes };
  }

  #countRead(entry: Entry, before: Entry | undefined): void {
    this.#options.tally.count(entry, before ? 'changed' : 'new');
  }

  #count(now: Entry, before: Entry | undefined, difference: Difference): void {
    const outcomes = {
      same: 'unchanged',
      metadata: 'metadata',
      look: 'changed',
      content: 'changed',
    } as const;
    this.#options.tally.count(now, before ? outcomes[difference] : 'new');
  }

  #unreadableOrThrow(slot: Slot<WrittenEntry>, now: Entry, error: unknown): void {
    if (!isSourceError(error)) throw error;
    if (error.code === 'ENOENT') {
      // deleted since its folder was read: as if it had been a moment earlier
      slot.state = 'dropped';
      this.#shownBytes.delete(slot);
      this.#progressed();
      return;
    }
    const { extents: _, ...entry } = now;
    this.#options.tally.count(entry, 'unreadable');
    this.#options.onProblem({ path: now.path, kind: 'unreadable', code: error.code, message: error.message });
    this.#fill(slot, { ...entry, stored: { kind: 'manifest' }, unreadable: error.code });
  }

  /** Shows on the bar what is read of a large file; no more than there is of it, though it be read twice. */
  #showing(slot: Slot<WrittenEntry>, { sizeBytes }: Entry): OnRead {
    return (bytes) => {
      const shown = this.#shownBytes.get(slot) ?? 0;
      const more = Math.min(bytes, sizeBytes - shown);
      this.#shownBytes.set(slot, shown + more);
      this.#options.progress.advance({ bytes: more });
    };
  }

  #fill(slot: Slot<WrittenEntry>, entry: WrittenEntry): undefined {
    slot.value = entry;
    slot.state = 'filled';
    this.#show(slot, entry);
    this.#progressed();
  }

  #show(slot: Slot<WrittenEntry>, entry: WrittenEntry): void {
    const { progress } = this.#options;
    if (entry instanceof UnchangedLines) {
      progress.advance({ files: entry.fileCount, bytes: entry.bytes });
      return;
    }
    if (entry.type === 'directory') return;
    const shown = this.#shownBytes.size === 0 ? undefined : this.#shownBytes.get(slot);
    progress.advance({ files: 1, bytes: entry.sizeBytes - (shown ?? 0) });
    if (shown !== undefined) this.#shownBytes.delete(slot);
  }

  /** Every promise of a request ends here: the first failure stops the run. */
  #settle(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.#failure ??= { error };
      this.#progressed();
    });
  }

  #progressed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async #takeUntil(isEnough: (waitingCount: number) => boolean): Promise<readonly WrittenEntry[]> {
    const taken: WrittenEntry[] = [];
    for (;;) {
      this.#throwIfFailed();
      taken.push(...this.#entries.take());
      if (isEnough(this.#entries.waitingCount)) return taken;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** An entry on its way into the run. */
interface Placing {
  readonly now: Entry;
  readonly before: Entry | undefined;
  /** The same, if its line may be taken over. */
  readonly same: Entry | undefined;
  readonly difference: Difference;
  /** The storage takes the parent's object over by itself. */
  readonly isKept: boolean;
}

/** An older content of a file, with its fingerprints. */
interface WithBlocks extends Located {
  readonly blocks: BlockPrints;
}

/** A large file to be read. */
interface Reading {
  readonly slot: Slot<WrittenEntry>;
  readonly known: KnownContents;
  readonly now: Entry;
  readonly before: Entry | undefined;
  readonly onRead: OnRead;
}

function noteBlocks(
  large: LargeFiles | undefined,
  { entry, blocks }: Pick<ReadLarge, 'entry'> & { readonly blocks: BlockPrints | undefined },
  instead?: Buffer,
): void {
  if (blocks) large?.note(entry, blocks, instead);
}

/** What is known already may know more: how it lies sealed. */
function noteFound(large: LargeFiles | undefined, found: ReadLarge): void {
  if (large && !large.blocksOf(found.entry)) noteBlocks(large, found);
}

/** The parent's entry, with the line that it was read from, if the new one says nothing else. */
function takenOver(now: Entry, before: Entry | undefined, content?: Located): Entry {
  if (before && (now === before || isSameLine(now, before))) return before;
  return content === undefined ? now : { ...now, sha256: content.sha256, ...sealedAs(content.sealedBytes) };
}

function sealedAs(sealedBytes: number | undefined): Pick<Entry, 'sealedBytes'> {
  return sealedBytes === undefined ? {} : { sealedBytes };
}

function placeClear(scanned: Entry, maxPathBytes: number): Entry {
  const stored = chooseStored(scanned, maxPathBytes);
  return stored === scanned.stored ? scanned : { ...scanned, stored };
}

function isUnchanged(difference: Difference): boolean {
  return difference === 'same' || difference === 'metadata';
}

function differenceOf(now: Entry, before: Entry | undefined): Difference {
  if (now === before) return 'same';
  return before ? compareEntries(now, before) : 'content';
}
