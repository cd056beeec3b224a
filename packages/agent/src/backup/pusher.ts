import { UnchangedLines } from '@bakker/impl-format';
import type { Entry, WrittenEntry } from '@bakker/impl-format';
import type { LargeFiles } from '../blocks/large-files.ts';
import type { Progress } from '../ports/progress.ts';
import type { RunWriter } from '../ports/storage-account.ts';
import type { Naming, Sealing } from '../sealed/sealing.ts';
import type { SmallFileReader, SourceProblem, SourceTree } from '../ports/source-tree.ts';
import { ChangedBlocks } from './changed-blocks.ts';
import { compareEntries } from './compare.ts';
import type { Difference } from './compare.ts';
import { ContentLinker } from './content-linker.ts';
import { ContentLookup } from './content-lookup.ts';
import { ContentPlacer } from './content-placer.ts';
import { ContentSender } from './content-sender.ts';
import { detailBytes } from '../source/detail-bytes.ts';
import type { Joined } from './join-parent.ts';
import { Keeping } from './keeping.ts';
import type { KeepTeller } from './keeping.ts';
import type { KnownContents, Located } from './known-content.ts';
import { OutgoingEntries } from './outgoing-entries.ts';
import { isSameLine } from './same-line.ts';
import { chooseStored, sealedAs, storedPath } from './stored-place.ts';
import type { Tally } from './tally.ts';
import { Transfer } from './transfer.ts';

/** Entries that may wait for the slowest one before them. */
const WINDOW_ENTRIES = 16_384;
/** What they may hold beside the usual. */
const WINDOW_DETAIL_BYTES = 16 * 1024 * 1024;
/** How often the storage is asked for room, in entries. */
const ENTRIES_A_CHECK = 64;

export interface PusherOptions {
  readonly writer: RunWriter;
  readonly source: SourceTree;
  readonly reader: SmallFileReader;
  readonly parent: string | undefined;
  /** Runs lie between the parent and this one, whose manifests could not be read. */
  readonly isParentOlder: boolean;
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
  readonly #outgoing: OutgoingEntries;
  readonly #lookup: ContentLookup;
  readonly #linker: ContentLinker;
  readonly #contents: ContentPlacer;
  readonly #keeping: KeepTeller | undefined;
  /** Of entries that may still wait. */
  #detailBytes = 0;

  constructor(options: PusherOptions) {
    this.#options = options;
    const { writer, parent, knownContents: openKnown } = options;
    this.#transfer = new Transfer(options);
    const outgoing = new OutgoingEntries(options);
    const lookup = new ContentLookup({ writer, parent, openKnown });
    const sender = new ContentSender({ ...options, transfer: this.#transfer, outgoing });
    const linker = new ContentLinker({ ...options, outgoing, lookup, sender });
    const changedBlocks = new ChangedBlocks({ ...options, lookup, sender });
    this.#contents = new ContentPlacer({ ...options, outgoing, lookup, sender, linker, changedBlocks });
    [this.#outgoing, this.#lookup, this.#linker] = [outgoing, lookup, linker];
    const { keeper } = writer;
    this.#keeping = options.mayKeep ? (options.keeping ?? (keeper && new Keeping(keeper))) : undefined;
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
        this.#outgoing.throwIfFailed();
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
      this.#detailBytes += detailBytes(now);
      const waiting = this.#placeNext(now, before);
      if (waiting) await waiting;
    }
    if (this.#detailBytes <= WINDOW_DETAIL_BYTES)
      return this.#outgoing.takeUntil((waitingCount) => waitingCount < WINDOW_ENTRIES);
    this.#detailBytes = 0;
    return this.#outgoing.takeUntil((waitingCount) => waitingCount === 0);
  }

  /** Whether the run has a folder for files whose own path is too long. */
  get hasLongPathsFolder(): boolean {
    return this.#transfer.hasLongPathsFolder;
  }

  /** Waits for everything in flight. @returns the remaining entries */
  async finish(): Promise<readonly WrittenEntry[]> {
    this.#keeping?.rest();
    const rest = await this.#outgoing.takeUntil((waitingCount) => waitingCount === 0);
    this.#linker.warnIfNoneWasMade();
    return rest;
  }

  /** Whether the storage takes over what stands in all of these lines, and they go into the manifest as they are. */
  #areKept(lines: UnchangedLines): boolean {
    const { writer, naming, keeping, checksum, tally } = this.#options;
    if (!this.#keeping || keeping || checksum || naming?.nameKey !== undefined) return false;
    if (writer.parent?.hasHurt === true || lines.longestPathBytes > writer.maxPathBytes) return false;
    tally.countSame(lines.fileCount, lines.bytes);
    this.#keeping.keep(lines.lastPath, lines.fileCount);
    this.#outgoing.fill(this.#outgoing.begin(), lines);
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
    const difference = this.#differenceOf(now, before);
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
        return this.#outgoing.fill(this.#outgoing.begin(), takenOver(now, same));
    }
  }

  #differenceOf(now: Entry, before: Entry | undefined): Difference {
    if (now === before) return 'same';
    return before ? compareEntries(now, before, { isOlder: this.#options.isParentOlder }) : 'content';
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
      (now.type !== 'file' || (!this.#options.checksum && !this.#lookup.isHurt(before)))
    ) {
      keeping.keep(now.path);
      return true;
    }
    keeping.pass(before);
    return false;
  }

  #placeFolder({ now, before, same, isKept }: Omit<Placing, 'difference'>): undefined {
    const slot = this.#outgoing.begin();
    const { tally } = this.#options;
    if (now.unreadable) tally.count(now, 'unreadable');
    // folders are not counted, so that a file whose place one takes would be missing from the sum
    if (before) tally.countVanished(before);
    const entry = takenOver(now, same);
    const path = storedPath(now);
    if (path === undefined || isKept) return this.#outgoing.fill(slot, entry);
    this.#outgoing.settle(this.#options.writer.directory(path).then(() => this.#outgoing.fill(slot, entry)));
    return undefined;
  }

  #placeSymlink({ now, before, same, difference, isKept }: Placing): undefined {
    const { writer, parent } = this.#options;
    const slot = this.#outgoing.begin();
    this.#count(now, before, difference);
    const entry = takenOver(now, same);
    if (now.stored.kind === 'manifest' || isKept) return this.#outgoing.fill(slot, entry);
    const make = async () => {
      const isStored = await writer.symlink(now.path, now.target ?? Buffer.alloc(0));
      this.#outgoing.fill(slot, isStored ? entry : { ...now, stored: { kind: 'manifest' } });
    };
    const oldPath = before && difference !== 'content' ? storedPath(before) : undefined;
    if (!oldPath || parent === undefined) this.#outgoing.settle(make());
    else {
      const linked = writer.link(now.path, { folder: parent, path: oldPath }, 0);
      this.#outgoing.settle(
        linked.then((outcome) => (outcome === 'linked' ? this.#outgoing.fill(slot, entry) : make())),
      );
    }
    return undefined;
  }

  #placeFile({ now, before, same, difference, isKept }: Placing): Promise<void> | undefined {
    if (isUnchanged(difference) && !this.#options.checksum) {
      const inParent = before && this.#lookup.inParent(before);
      if (before && inParent) {
        const slot = this.#outgoing.begin();
        this.#count(now, before, difference);
        const entry = takenOver(now, same, inParent);
        return isKept ? this.#outgoing.fill(slot, entry) : this.#linker.linkOrSend(slot, entry, inParent);
      }
    }
    const { known } = this.#lookup;
    if (known) return this.#contents.place(known, { now, before });
    return this.#lookup.open().then((opened) => this.#contents.place(opened, { now, before }));
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

/** The parent's entry, with the line that it was read from, if the new one says nothing else. */
function takenOver(now: Entry, before: Entry | undefined, content?: Located): Entry {
  if (before && (now === before || isSameLine(now, before))) return before;
  return content === undefined ? now : { ...now, sha256: content.sha256, ...sealedAs(content.sealedBytes) };
}

function placeClear(scanned: Entry, maxPathBytes: number): Entry {
  const stored = chooseStored(scanned, maxPathBytes);
  return stored === scanned.stored ? scanned : { ...scanned, stored };
}

function isUnchanged(difference: Difference): boolean {
  return difference === 'same' || difference === 'metadata';
}
