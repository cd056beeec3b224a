import { markMoved } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { ChangedBlocks, LargeReading } from './changed-blocks.ts';
import { noteBlocks, noteFound } from './changed-blocks.ts';
import { isMetadataEqual } from './compare.ts';
import type { ContentLinker } from './content-linker.ts';
import type { ContentLookup } from './content-lookup.ts';
import type { ContentSender } from './content-sender.ts';
import type { KnownContents, Located } from './known-content.ts';
import type { EntrySlot, OutgoingEntries } from './outgoing-entries.ts';
import { sealedAs } from './stored-place.ts';
import type { Tally } from './tally.ts';
import type { HashedEntry } from './read-entry.ts';

/** A file whose content the parent may not have under this path. */
export interface UnknownFile {
  readonly now: Entry;
  readonly before: Entry | undefined;
}

export interface ContentPlacerOptions {
  readonly outgoing: OutgoingEntries;
  readonly lookup: ContentLookup;
  readonly sender: ContentSender;
  readonly linker: ContentLinker;
  readonly changedBlocks: ChangedBlocks;
  readonly tally: Tally;
  /** Read all content, whatever the times say. */
  readonly checksum: boolean;
  /** Whether what has this ctime was the same when the parent was made. */
  readonly isSettled: (ctimeNs: bigint) => boolean;
}

/** Brings files into the run whose content has to be found elsewhere in the account, or read. */
export class ContentPlacer {
  readonly #options: ContentPlacerOptions;

  constructor(options: ContentPlacerOptions) {
    this.#options = options;
  }

  /** Undefined, or a promise to wait for before the next entry. */
  place(known: KnownContents, { now, before }: UnknownFile): Promise<void> | undefined {
    const { outgoing, linker, sender, lookup, tally, checksum } = this.#options;
    // whatever the times are to be trusted with: names of one file have one content, and are one file there
    const group = now.sizeBytes > 0 ? known.group(now) : undefined;
    if (group) {
      this.#placeByGroup({ slot: outgoing.begin(), known, now, before }, group);
      return undefined;
    }
    if (now.sizeBytes > 0 && !checksum) {
      const moved = before?.inode === now.inode ? undefined : known.byInode(now);
      if (moved) {
        const slot = outgoing.begin();
        const isNew = lookup.isFromThisRun(moved);
        tally.count(now, before ? 'changed' : isNew ? 'new' : 'moved');
        if (now.linkCount === 1 && !isNew) tally.countMovedAway();
        known.startGroup(now, Promise.resolve(moved));
        linker.linkOrSend(slot, isNew ? now : this.#asMoved(now, moved), moved);
        return undefined;
      }
    }
    const room = sender.room(now);
    const read = () => this.#read({ slot: outgoing.begin(), known, now, before });
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
  #placeByGroup(file: FileUnderWay, group: Promise<Located>): void {
    const { outgoing, linker, tally } = this.#options;
    const { slot, now, before } = file;
    outgoing.settle(
      group.then(
        (first) => {
          if (first.sizeBytes !== now.sizeBytes) return this.#readUnlessAnother(file, group);
          const isSame = before?.sha256?.equals(first.sha256) === true && before.type === 'file';
          if (isSame) tally.count(now, isMetadataEqual(now, before) ? 'unchanged' : 'metadata');
          else tally.count(now, before ? 'changed' : 'new');
          return linker.linkOrSend(slot, now, first);
        },
        () => this.#readUnlessAnother(file, group),
      ),
    );
  }

  /** After `group` turned out not to hold what this name has: one of those who waited for it reads, the others wait for that one. */
  #readUnlessAnother(file: FileUnderWay, group: Promise<Located>): undefined {
    const another = file.known.group(file.now);
    if (another === undefined || another === group) return this.#read(file);
    this.#placeByGroup(file, another);
    return undefined;
  }

  /** Reads a file, and links or sends what it holds. */
  #read(file: FileUnderWay): undefined {
    const { now, known } = file;
    const isWhole = this.#options.sender.isWhole(now);
    const located = isWhole ? this.#placeSmall(file) : this.#placeLarge(file);
    // other names of an inode that is being read wait for it
    if (now.linkCount > 1) known.startGroup(now, located.then(mustBeThere));
    this.#options.outgoing.settle(located);
  }

  async #placeSmall(file: FileUnderWay): Promise<Located | undefined> {
    const { slot, known, now, before } = file;
    const { outgoing, sender, tally } = this.#options;
    const { transfer } = sender;
    sender.take(now);
    try {
      const { entry, content } = await transfer.readSmall(now);
      const found = this.#placeFound(file, entry);
      if (found) {
        transfer.drop(content);
        return await found;
      }
      tally.count(entry, before ? 'changed' : 'new');
      const upload = transfer.sendSmall(entry, content);
      known.sending(entry, upload);
      const arrived = await upload;
      known.add(arrived);
      return sender.sent(slot, arrived);
    } catch (error) {
      outgoing.unreadable(slot, now, error);
      return undefined;
    } finally {
      sender.give(now);
    }
  }

  async #placeLarge(file: FileUnderWay): Promise<Located | undefined> {
    const { slot, now } = file;
    const { outgoing, sender } = this.#options;
    // resolved when it is over, however it ended
    const ended = Promise.withResolvers<undefined>();
    sender.take(now);
    try {
      return await this.#findOrSendLarge(file, ended.promise);
    } catch (error) {
      outgoing.unreadable(slot, now, error);
      return undefined;
    } finally {
      sender.give(now);
      ended.resolve(undefined);
    }
  }

  /**
   * Sends changed blocks alone where it can. Hashes a large file before it is sent where the account may have it already. What is sent
   * is told in the turn in which nothing was found: of two that begin at once, one knows of the other.
   */
  async #findOrSendLarge(file: FileUnderWay, ended: Promise<undefined>): Promise<Located> {
    const { slot, known, now, before } = file;
    const { outgoing, sender, changedBlocks, tally } = this.#options;
    const { transfer } = sender;
    const large = await changedBlocks.open(now);
    const onRead = outgoing.showing(slot, now);
    const placeFound = (entry: HashedEntry) => this.#placeFound(file, entry);
    const reading = (sameSize: LargeReading['sameSize']) => ({ ...file, onRead, placeFound, sameSize });
    const patched =
      large && (await changedBlocks.sendFromKept(large, reading(known.largeInFlight(now.sizeBytes))));
    if (patched) return patched;
    const sameSize = known.largeInFlight(now.sizeBytes);
    if (sameSize || before?.sizeBytes === now.sizeBytes || known.mayHaveSize(now.sizeBytes)) {
      const [hashed] = await Promise.all([transfer.hashLarge(now, large, onRead), sameSize]);
      if (hashed) await untilNone(() => known.sameInFlight(hashed.entry));
      const found = hashed && placeFound(hashed.entry);
      if (hashed && found) {
        noteFound(large, hashed);
        return await found;
      }
      if (hashed) known.sendingSame(hashed.entry, ended);
      else known.sendingLarge(now, ended);
    } else known.sendingLarge(now, ended);
    const patchedAfterAll = large && (await changedBlocks.sendFromParent(large, reading(sameSize)));
    if (patchedAfterAll) return patchedAfterAll;
    const arrived = await transfer.sendLarge(now, large, onRead);
    known.add(arrived);
    noteBlocks(large, arrived, before?.sha256);
    tally.count(arrived.entry, before ? 'changed' : 'new');
    return sender.sent(slot, arrived);
  }

  /** Links content that was read and turns out to be in the account: to what is told. Undefined if it is not. */
  #placeFound(
    { slot, known, before }: FileUnderWay,
    entry: HashedEntry,
  ): Located | Promise<Located> | undefined {
    const { outgoing, lookup, linker, tally } = this.#options;
    const inParent = before && lookup.sameInParent(entry, before);
    if (before && inParent) {
      tally.count(entry, isMetadataEqual(entry, before) ? 'unchanged' : 'metadata');
      known.found(entry, inParent);
      known.startGroup(entry, Promise.resolve(inParent));
      linker.linkOrSend(slot, entry, inParent);
      return inParent;
    }
    const found = lookup.find(known, entry, before);
    if (!found) return undefined;
    const isNew = found instanceof Promise || lookup.isFromThisRun(found);
    tally.count(entry, before ? 'changed' : isNew ? 'new' : 'moved');
    if (!isNew && !before) tally.countMovedFrom(found.place.path);
    const located = Promise.resolve(found);
    known.startGroup(entry, located);
    outgoing.settle(
      located.then((there) => {
        if (!lookup.isSentNow(there)) known.found(entry, there);
        return linker.linkOrSend(slot, entry, there);
      }),
    );
    return found;
  }
}

interface FileUnderWay extends UnknownFile {
  readonly slot: EntrySlot;
  readonly known: KnownContents;
}

function mustBeThere(found: Located | undefined): Located {
  if (found) return found;
  throw new Error('it is not in this run');
}

/** Waits as long as something is under way; what comes of it is for others to see. */
async function untilNone(underWay: () => Promise<unknown> | undefined): Promise<void> {
  for (let work = underWay(); work !== undefined; work = underWay()) await work;
}
