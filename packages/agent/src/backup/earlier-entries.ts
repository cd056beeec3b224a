import { comparePaths } from '@bakker/impl-format';
import type { Entry, EntryCursor, FileFacts, UnchangedLines } from '@bakker/impl-format';
import type { EarlierEntries } from '../ports/source-tree.ts';

/** A file system's clock may stand still for so long: what changed just before a run may change again unseen. */
const CLOCK_TICK_MS = 2000;
/** About what a scan's slice passes at most before it refills. */
const AT_HAND_BYTES = 512 * 1024;

/** What the parent has, in order: entries that the scan did not take as they stand, and lines that it did. */
export type Passed = Entry | UnchangedLines;

/**
 * The parent's entries for two readers: the scan goes along them (`take`, `at`), and whoever joins both takes what the scan
 * has passed (`next`). Holds what lies between the two: a few slices at most.
 */
export class ParentEntries implements EarlierEntries {
  readonly #cursor: EntryCursor;
  readonly #settledBeforeMs: number;
  /** Passed by the scan, and not yet joined; undefined where a slice of the scan ended. */
  #passed: (Passed | undefined)[] = [];
  #taken = 0;
  /** The lines that were taken last, while the next ones may follow them. */
  #lines: UnchangedLines | undefined;

  /** @param startedAtMs - when the run that they are of began */
  constructor(cursor: EntryCursor, startedAtMs: number) {
    this.#cursor = cursor;
    this.#settledBeforeMs = startedAtMs - CLOCK_TICK_MS;
  }

  at(path: Buffer): Entry | undefined {
    this.#passBefore(path);
    const entry = this.#cursor.peek();
    return entry && comparePaths(entry.path, path) === 0 ? entry : undefined;
  }

  take(path: Buffer, pathBytes: number, facts: FileFacts): boolean {
    if (facts.ctimeS >= this.#settledBeforeMs / 1000 - 1) return false;
    const before = this.#lines;
    let lines = this.#cursor.takeSame(path, pathBytes, facts, before);
    if (lines === undefined) {
      // something of the parent's may lie before it
      this.#passBefore(path.subarray(0, pathBytes));
      lines = this.#cursor.takeSame(path, pathBytes, facts, undefined);
      if (lines === undefined) return false;
    }
    if (lines !== before) this.#passed.push(lines);
    this.#lines = lines;
    return true;
  }

  interrupt(): void {
    this.#lines = undefined;
  }

  isSettled(ctimeNs: bigint): boolean {
    return ctimeNs < BigInt(this.#settledBeforeMs) * 1_000_000n;
  }

  async refill(): Promise<void> {
    while (!this.#cursor.hasEnded && this.#cursor.atHandBytes < AT_HAND_BYTES) await this.#cursor.more();
  }

  endSlice(): void {
    this.#lines = undefined;
    this.#passed.push(undefined);
  }

  /** The next one at or before `path`, or of all that are left; once, in order. Undefined if there is none. */
  next(path: Buffer | undefined): Passed | undefined | Promise<Passed | undefined> {
    let index = this.#taken;
    while (index < this.#passed.length && this.#passed[index] === undefined) index++;
    const passed = this.#passed[index];
    if (passed !== undefined) {
      if (path !== undefined && comparePaths(passed.path, path) > 0) return undefined;
      if (index === this.#taken) this.#taken++;
      else this.#passed.splice(index, 1); // the scan met it a slice later
      return passed;
    }
    const entry = this.#cursor.peek();
    if (entry === undefined) return this.#cursor.hasEnded ? undefined : this.#nextRead(path);
    if (path !== undefined && comparePaths(entry.path, path) > 0) return undefined;
    this.#cursor.step();
    return entry;
  }

  /** The rest of what the scan passed in its slice; to be called once for each. */
  restOfSlice(): readonly Passed[] {
    const rest: Passed[] = [];
    for (; this.#taken < this.#passed.length;) {
      const passed = this.#passed[this.#taken++];
      if (passed === undefined) break;
      rest.push(passed);
    }
    this.#passed = this.#passed.slice(this.#taken);
    this.#taken = 0;
    return rest;
  }

  async #nextRead(path: Buffer | undefined): Promise<Passed | undefined> {
    await this.#cursor.more();
    return this.next(path);
  }

  #passBefore(path: Buffer): void {
    for (;;) {
      const entry = this.#cursor.peek();
      if (entry === undefined || comparePaths(entry.path, path) >= 0) return;
      this.#passed.push(entry);
      this.#lines = undefined;
      this.#cursor.step();
    }
  }
}
