/**
 * Gathers numbers of which many are the same, and sorts them: 8 bytes for each different one, twice that while it grows.
 */
export class SortedNumbers {
  #numbers = new Float64Array(INITIAL_COUNT);
  #count = 0;

  add(number: number): void {
    if (this.#count === this.#numbers.length) this.#makeRoom();
    this.#numbers[this.#count++] = number;
  }

  /** Ascending, each once. Nothing may be added after it. */
  finish(): Float64Array {
    this.#compact();
    return this.#numbers.slice(0, this.#count);
  }

  /** Throws the repeated ones out; only if that does not help, the memory grows. */
  #makeRoom(): void {
    this.#compact();
    if (this.#count * 2 < this.#numbers.length) return;
    const larger = new Float64Array(this.#numbers.length * 2);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  #compact(): void {
    const filled = this.#numbers.subarray(0, this.#count).sort();
    let count = 0;
    for (const number of filled) {
      if (count > 0 && filled[count - 1] === number) continue;
      filled[count++] = number;
    }
    this.#count = count;
  }
}

const INITIAL_COUNT = 65_536;
