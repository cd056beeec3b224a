import { escapeName } from '@bakker/command-line';
import { parseRunName } from '@bakker/impl-format';
import type { Entry } from '@bakker/impl-format';
import type { LinkOutcome, RunWriter } from '../ports/storage-account.ts';
import type { ContentLookup } from './content-lookup.ts';
import type { ContentSender } from './content-sender.ts';
import type { Located } from './known-content.ts';
import type { EntrySlot, OutgoingEntries } from './outgoing-entries.ts';
import { sealedAs, storedPath } from './stored-place.ts';

/** Links files to content that the account has; what can't be linked after all is sent. */
export class ContentLinker {
  readonly #writer: RunWriter;
  readonly #outgoing: OutgoingEntries;
  readonly #lookup: ContentLookup;
  readonly #sender: ContentSender;
  readonly #onWarning: (text: string) => void;
  #linkedCount = 0;
  #refusedCount = 0;

  constructor(options: {
    writer: RunWriter;
    outgoing: OutgoingEntries;
    lookup: ContentLookup;
    sender: ContentSender;
    onWarning: (text: string) => void;
  }) {
    this.#writer = options.writer;
    this.#outgoing = options.outgoing;
    this.#lookup = options.lookup;
    this.#sender = options.sender;
    this.#onWarning = options.onWarning;
  }

  /** The one way to link: from a copy made for a full inode, else from where it was found; else the source is sent. */
  linkOrSend(slot: EntrySlot, now: Entry, found: Located): undefined {
    const copy = this.#lookup.known?.copyOf(found);
    const fromCopy = copy?.then(
      (copied) => this.#link(now, copied),
      () => this.#link(now, found),
    );
    const outcome = fromCopy ?? this.#link(now, found);
    this.#outgoing.settle(
      outcome.then((answer) => {
        if (answer === 'refused') this.#refusedCount++;
        if (answer !== 'linked') return this.#sendInstead({ slot, now, found, usedCopy: copy, answer });
        this.#linkedCount++;
        this.#noteNewName(now, found);
        const isWhole =
          now.sha256 !== undefined &&
          now.sha256.equals(found.sha256) &&
          now.sealedBytes === found.sealedBytes;
        return this.#outgoing.fill(
          slot,
          isWhole ? now : { ...now, sha256: found.sha256, ...sealedAs(found.sealedBytes) },
        );
      }),
    );
  }

  /** Warns of a storage without hard links, where each run takes all of its room anew. To be called at the end. */
  warnIfNoneWasMade(): void {
    if (this.#refusedCount === 0 || this.#linkedCount > 0) return;
    this.#onWarning(
      'the storage made no hard link: what it has already was sent again, and takes its room again; bakker doctor tells what it can',
    );
  }

  /**
   * Content that has another name from this run on is to be found by that, when it moves on. Of what was sent just now under
   * another name only what the inode holds is noted, with its own name: what lies there under another one looks renamed.
   */
  #noteNewName(now: Entry, found: Located): void {
    const { known } = this.#lookup;
    const path = storedPath(now);
    if (!known || !path || path.equals(found.place.path)) return;
    const { sha256 } = found;
    const entry = { ...now, sha256, ...sealedAs(found.sealedBytes) };
    const place = { folder: this.#writer.folder, path };
    if (!this.#lookup.isSentNow(found)) known.add({ entry, place });
    else if (now.sha256 !== undefined) known.found(entry, { ...found, place });
  }

  /** What an unfinished run had may have given way to this one, where room is scarce: only a run is to have all that it had. */
  #warnOfLoss({ place }: Located, answer: 'missing' | 'hurt'): void {
    if (answer === 'missing' && parseRunName(place.folder) === undefined) return;
    const what = answer === 'hurt' ? 'is damaged in' : 'is missing from';
    this.#onWarning(
      `/${escapeName(place.path)} ${what} ${place.folder} on the storage; its content was sent again`,
    );
  }

  #link(now: Entry, { place, sizeBytes: clearBytes, sealedBytes }: Located): Promise<LinkOutcome> {
    const sizeBytes = sealedBytes ?? clearBytes;
    const path = storedPath(now);
    if (!path) throw new Error('only files that lie in the run are linked');
    const link = () => this.#writer.link(path, place, sizeBytes);
    return now.stored.kind === 'own' ? link() : this.#sender.transfer.makeLongPathsFolder().then(link);
  }

  /** The old file is gone or takes no more links: the source has the content still. */
  async #sendInstead(options: {
    slot: EntrySlot;
    now: Entry;
    found: Located;
    usedCopy: Promise<Located> | undefined;
    answer: 'missing' | 'hurt' | 'refused';
  }): Promise<void> {
    const { slot, now, found, usedCopy, answer } = options;
    const known = await this.#lookup.open();
    // many links of one full inode are refused at once: the first makes a copy, the others link to it
    const copy = known.copyOf(found);
    if (copy && copy !== usedCopy) return this.linkOrSend(slot, now, found);
    if (answer !== 'refused') {
      known.forget(found);
      this.#warnOfLoss(found, answer);
    }
    const again = this.#sender.sendAgain(now);
    // only if the content is still the same may others link to it
    known.startCopy(
      found,
      again.then((arrived) => {
        if (arrived.entry.sha256.equals(found.sha256)) return arrived;
        throw new Error('the source has changed since');
      }),
    );
    try {
      const arrived = await again;
      known.add(arrived);
      this.#sender.sent(slot, arrived);
    } catch (error) {
      this.#outgoing.unreadable(slot, now, error);
    }
  }
}
