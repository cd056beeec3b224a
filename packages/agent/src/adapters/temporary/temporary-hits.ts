import type { Hit, Hits } from '../../ports/findings.ts';
import type { HitTable } from './hit-table.ts';

/** Most of the times there are few; those beyond lie in a temporary table. */
const MOST_IN_MEMORY = 10_000;

export class TemporaryHits implements Hits {
  readonly #first: Hit[] = [];
  #others: HitTable | undefined;

  async add(hit: Hit): Promise<void> {
    if (this.#first.length < MOST_IN_MEMORY) {
      this.#first.push(hit);
      return;
    }
    this.#others ??= new (await import('./hit-table.ts')).HitTable();
    this.#others.add(hit);
  }

  *[Symbol.iterator](): Generator<Hit> {
    yield* this.#first;
    if (this.#others !== undefined) yield* this.#others;
  }
}
