import type { OpenOverflow, OverflowTable } from './ports/overflow.ts';

export interface OverflowOptions<Value> {
  readonly open: OpenOverflow;
  /** Undefined of what has to stay in memory as it is; that must be little. */
  readonly encode: (value: Value) => Buffer | undefined;
  readonly decode: (bytes: Buffer) => Value;
}

/** A map that keeps some thousand values in memory; of more, those that have been in memory the longest go to a table on disk. */
export class OverflowMap<Value> {
  readonly #options: OverflowOptions<Value>;
  readonly #near = new Map<string, Value>();
  #far: OverflowTable | undefined;

  constructor(options: OverflowOptions<Value>) {
    this.#options = options;
  }

  /** Undefined while there is room for more; else resolves when there is. */
  room(): Promise<void> | undefined {
    return this.#near.size <= MOST_IN_MEMORY ? undefined : this.#makeRoom();
  }

  get(key: string): Value | undefined {
    const near = this.#near.get(key);
    if (near !== undefined || this.#far === undefined) return near;
    const bytes = this.#far.take(key);
    if (bytes === undefined) return undefined;
    const value = this.#options.decode(bytes);
    this.#near.set(key, value);
    return value;
  }

  /** Of a key that is new, or was asked for last. */
  set(key: string, value: Value): void {
    this.#near.set(key, value);
  }

  /** Of a key that was asked for last. */
  delete(key: string): void {
    this.#near.delete(key);
  }

  *values(): Generator<Value> {
    yield* this.#near.values();
    for (const bytes of this.#far?.values() ?? []) yield this.#options.decode(bytes);
  }

  async #makeRoom(): Promise<void> {
    const far = (this.#far ??= await this.#options.open());
    for (const [key, value] of this.#near) {
      if (this.#near.size <= MOST_IN_MEMORY / 2) return;
      const bytes = this.#options.encode(value);
      if (bytes === undefined) continue;
      far.put(key, bytes);
      this.#near.delete(key);
    }
  }
}

const MOST_IN_MEMORY = 16_384;
