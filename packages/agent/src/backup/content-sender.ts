import type { Entry } from '@bakker/impl-format';
import type { Sealing } from '../sealed/sealing.ts';
import { LARGE_FILE_BYTES, contentBudgets } from './budget.ts';
import type { Budget } from './budget.ts';
import { toLocated } from './known-content.ts';
import type { Located } from './known-content.ts';
import type { EntrySlot, OutgoingEntries } from './outgoing-entries.ts';
import type { Tally } from './tally.ts';
import { WHOLE_FILE_BYTES } from './transfer.ts';
import type { Arrived } from './read-entry.ts';
import type { Transfer } from './transfer.ts';

/** Small files in flight: more only cost memory (docs/performance.md). */
const SMALL_FILES = 192;

interface SentBytes {
  readonly sentBytes: number;
  /** What it takes on the storage that was not there. */
  readonly storedBytes: number;
}

/** Bounds the contents in flight, and counts what arrived. */
export class ContentSender {
  readonly transfer: Transfer;
  readonly #outgoing: OutgoingEntries;
  readonly #tally: Tally;
  readonly #small: Budget;
  readonly #large: Budget;
  readonly #wholeBytes: number;

  /** @param options - `memoryBytes` is for contents in flight */
  constructor(options: {
    transfer: Transfer;
    outgoing: OutgoingEntries;
    tally: Tally;
    sealing?: Sealing | undefined;
    memoryBytes: number;
  }) {
    this.transfer = options.transfer;
    this.#outgoing = options.outgoing;
    this.#tally = options.tally;
    this.#wholeBytes = options.sealing?.wholeBytes ?? WHOLE_FILE_BYTES;
    const { memoryBytes } = options;
    ({ small: this.#small, large: this.#large } = contentBudgets({ memoryBytes, smallFiles: SMALL_FILES }));
  }

  /** Whether the file is read in one call and sent in one request. */
  isWhole({ sizeBytes }: Entry): boolean {
    return sizeBytes <= this.#wholeBytes;
  }

  /** Undefined when there is room for the file; else resolves when there is. */
  room(entry: Entry): Promise<void> | undefined {
    return this.#budgetOf(entry).room();
  }

  /** Takes the room of a file, until it is given back. */
  take(entry: Entry): void {
    this.#budgetOf(entry).take(this.#heldBytes(entry));
  }

  give(entry: Entry): void {
    this.#budgetOf(entry).give(this.#heldBytes(entry));
  }

  /** Reads and sends a file once more, whatever is known of it. @throws the errno error of the source */
  async sendAgain(now: Entry): Promise<Arrived> {
    const room = this.room(now);
    if (room) await room;
    this.take(now);
    try {
      if (!this.isWhole(now)) return await this.transfer.sendLarge(now, undefined);
      const { entry, content } = await this.transfer.readSmall(now);
      return await this.transfer.sendSmall(entry, content);
    } finally {
      this.give(now);
    }
  }

  /**
   * Content arrived: its entry is done.
   *
   * @param bytes - less than the whole, if it was made from an older file
   * @returns where it lies now
   */
  sent(slot: EntrySlot, arrived: Arrived, { sentBytes, storedBytes }: SentBytes = wholeOf(arrived)): Located {
    const { entry } = arrived;
    const { brought } = this.#tally;
    brought.sealedBytes += entry.sealedBytes ?? 0;
    brought.sentBytes += sentBytes;
    brought.storedBytes += storedBytes;
    this.#outgoing.fill(slot, entry);
    return toLocated(arrived);
  }

  #budgetOf(entry: Entry): Budget {
    return this.isWhole(entry) ? this.#small : this.#large;
  }

  #heldBytes(entry: Entry): number {
    return this.isWhole(entry) ? entry.sizeBytes : LARGE_FILE_BYTES;
  }
}

function wholeOf({ entry: { sizeBytes } }: Arrived): SentBytes {
  return { sentBytes: sizeBytes, storedBytes: sizeBytes };
}
