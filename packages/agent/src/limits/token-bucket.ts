/** What may go at once before a limit holds, as a time at full rate: shorter than anybody notices, longer than a timer is late. */
const BURST_MS = 100;

/**
 * Spreads bytes over time: on average no more than the rate, however many streams share it. Bytes are taken first and
 * waited for then, so a piece of any size passes. Pure but for the clock that it is given.
 */
export class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #nowMs: () => number;
  /** When everything that was taken so far is paid for. */
  #paidAtMs = Number.NEGATIVE_INFINITY;

  constructor(limit: { readonly bytesPerS: number; readonly nowMs: () => number }) {
    this.#bytesPerMs = limit.bytesPerS / 1000;
    this.#nowMs = limit.nowMs;
  }

  /** Takes what is about to go. @returns milliseconds to wait before it goes; 0 for none */
  take(bytes: number): number {
    const waitMs = this.debtMs();
    const startMs = Math.max(this.#paidAtMs, this.#nowMs() - BURST_MS);
    this.#paidAtMs = startMs + bytes / this.#bytesPerMs;
    return waitMs;
  }

  /** Milliseconds until what was taken is paid for: so long whoever receives should look away. */
  debtMs(): number {
    return Math.max(0, this.#paidAtMs - this.#nowMs());
  }
}
