import { comparePaths } from './path-order.ts';

const BATCH_LENGTH = 1024;

/** What two sorted streams say of one path; at least one side is there. */
export interface JoinedPair<Left, Right = Left> {
  readonly path: Buffer;
  readonly left?: Left | undefined;
  readonly right?: Right | undefined;
}

/**
 * Walks two streams in manifest order (`comparePaths`, no path twice in one) side by side and yields every path of
 * either once, in that order, in batches of at most 1,024. A batch also ends where one of either side does: items may be
 * large, and nobody but who made the batches knows how many of them the memory bears. Holds one of each side.
 * Both streams are released when the consumer stops or one of them fails.
 */
export async function* mergeJoin<
  Left extends { readonly path: Buffer },
  Right extends { readonly path: Buffer },
>(
  left: AsyncIterable<readonly Left[]>,
  right: AsyncIterable<readonly Right[]>,
): AsyncGenerator<readonly JoinedPair<Left, Right>[]> {
  await using lefts = new BatchCursor(left);
  await using rights = new BatchCursor(right);
  await lefts.refill();
  await rights.refill();
  let joined: JoinedPair<Left, Right>[] = [];
  for (;;) {
    const l = lefts.current;
    const r = rights.current;
    if (l === undefined && r === undefined) break;
    const order = l === undefined ? 1 : r === undefined ? -1 : comparePaths(l.path, r.path);
    let isLeftUsedUp = false;
    if (l !== undefined && order <= 0) {
      joined.push({ path: l.path, left: l, right: order === 0 ? r : undefined });
      isLeftUsedUp = lefts.advance();
    } else if (r !== undefined) {
      joined.push({ path: r.path, left: undefined, right: r });
    }
    const isRightUsedUp = order >= 0 && rights.advance();
    if (joined.length >= BATCH_LENGTH || isLeftUsedUp || isRightUsedUp) {
      yield joined;
      joined = [];
    }
    if (isLeftUsedUp) await lefts.refill();
    if (isRightUsedUp) await rights.refill();
  }
}

/** A place in a stream of batches. `current` is undefined at the end. */
class BatchCursor<Item> implements AsyncDisposable {
  current: Item | undefined;
  #batch: readonly Item[] = [];
  #next = 0;
  readonly #iterator: AsyncIterator<readonly Item[]>;
  #ended = false;

  constructor(batches: AsyncIterable<readonly Item[]>) {
    this.#iterator = batches[Symbol.asyncIterator]();
  }

  /** Steps to the next item of the batch; true if there is none and `refill` must be called before the next look. */
  advance(): boolean {
    this.current = this.#batch[this.#next++];
    return this.current === undefined;
  }

  async refill(): Promise<void> {
    while (!this.#ended && this.advance()) {
      const result = await this.#iterator.next();
      this.#ended = result.done === true;
      this.#batch = result.done === true ? [] : result.value;
      this.#next = 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#iterator.return?.();
  }
}
