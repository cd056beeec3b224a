import { UnchangedLines } from '@bakker/impl-format';
import type { Entry, WrittenEntry } from '@bakker/impl-format';
import type { Progress } from '../ports/progress.ts';
import type { SourceProblem } from '../ports/source-tree.ts';
import { InOrder } from './in-order.ts';
import type { Slot } from './in-order.ts';
import type { Tally } from './tally.ts';
import { isSourceError } from './read-entry.ts';
import type { OnRead } from './read-entry.ts';

/** An entry's place in the manifest, from when it is begun. */
export type EntrySlot = Slot<WrittenEntry>;

/**
 * Entries on their way into the manifest: they are begun in order, end in any, and come out in order. Tells the bar of each, and keeps
 * the first failure of whatever is under way.
 */
export class OutgoingEntries {
  readonly #progress: Pick<Progress, 'advance'>;
  readonly #tally: Tally;
  readonly #onProblem: (problem: SourceProblem) => void;
  readonly #entries = new InOrder<WrittenEntry>();
  /** Bytes of large files under way that the bar shows already. */
  readonly #shownBytes = new Map<EntrySlot, number>();
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: {
    progress: Pick<Progress, 'advance'>;
    tally: Tally;
    onProblem: (problem: SourceProblem) => void;
  }) {
    this.#progress = options.progress;
    this.#tally = options.tally;
    this.#onProblem = options.onProblem;
  }

  begin(): EntrySlot {
    return this.#entries.add();
  }

  fill(slot: EntrySlot, entry: WrittenEntry): undefined {
    slot.value = entry;
    slot.state = 'filled';
    this.#show(slot, entry);
    this.#progressed();
  }

  /** Fills the place of what can't be read with that, or drops it if it is gone by now. @throws what is no error of the source */
  unreadable(slot: EntrySlot, now: Entry, error: unknown): void {
    if (!isSourceError(error)) throw error;
    if (error.code === 'ENOENT') {
      // deleted since its folder was read: as if it had been a moment earlier
      slot.state = 'dropped';
      this.#shownBytes.delete(slot);
      this.#progressed();
      return;
    }
    const { extents: _, ...entry } = now;
    this.#tally.count(entry, 'unreadable');
    this.#onProblem({ path: now.path, kind: 'unreadable', code: error.code, message: error.message });
    this.fill(slot, { ...entry, stored: { kind: 'manifest' }, unreadable: error.code });
  }

  /** Shows on the bar what is read of a large file; no more than there is of it, though it be read twice. */
  showing(slot: EntrySlot, { sizeBytes }: Entry): OnRead {
    return (bytes) => {
      const shown = this.#shownBytes.get(slot) ?? 0;
      const more = Math.min(bytes, sizeBytes - shown);
      this.#shownBytes.set(slot, shown + more);
      this.#progress.advance({ bytes: more });
    };
  }

  /** Every promise of a request ends here: the first failure stops the run. */
  settle(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.#failure ??= { error };
      this.#progressed();
    });
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** What is done, once so few are still waited for. @throws the first failure of what is under way */
  async takeUntil(isEnough: (waitingCount: number) => boolean): Promise<readonly WrittenEntry[]> {
    const taken: WrittenEntry[] = [];
    for (;;) {
      this.throwIfFailed();
      taken.push(...this.#entries.take());
      if (isEnough(this.#entries.waitingCount)) return taken;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #show(slot: EntrySlot, entry: WrittenEntry): void {
    if (entry instanceof UnchangedLines) {
      this.#progress.advance({ files: entry.fileCount, bytes: entry.bytes });
      return;
    }
    if (entry.type === 'directory') return;
    const shown = this.#shownBytes.size === 0 ? undefined : this.#shownBytes.get(slot);
    this.#progress.advance({ files: 1, bytes: entry.sizeBytes - (shown ?? 0) });
    if (shown !== undefined) this.#shownBytes.delete(slot);
  }

  #progressed(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
