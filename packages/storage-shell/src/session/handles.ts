import { StorageError } from '../errors.ts';
import type { NewLargeFile, OpenFile, OpenFolder } from '../ports/account.ts';
import type { VisiblePath } from './visible-path.ts';

/** What a handle stands for. */
export type Held =
  | { readonly kind: 'file'; readonly file: OpenFile }
  | { readonly kind: 'folder'; readonly folder: OpenFolder; readonly path: VisiblePath }
  | {
      readonly kind: 'new';
      readonly file: NewLargeFile;
      /** It has content that this client may not read: nothing is told of it. */
      readonly isSecret: boolean;
    };

/** So many files and folders at once: far more than any client needs, far fewer than a process may open. */
export const MAX_HANDLES = 1024;
const HANDLE_BYTES = 8;

/** The handles of one session. A number is never given twice, so a handle of something closed is never another thing's. */
export class Handles {
  readonly #held = new Map<number, Held>();
  #last = 0;
  #promised = 0;

  get count(): number {
    return this.#held.size;
  }

  /** To be called before something is opened for a handle. @throws StorageError FAILED if there are too many */
  reserve(): void {
    if (this.#held.size + this.#promised < MAX_HANDLES) return;
    throw new StorageError('FAILED', `a session has at most ${MAX_HANDLES} files and folders open`);
  }

  /** The same for what takes its time. @returns to be disposed of when the handle was added, or will not be */
  promise(): Disposable {
    this.reserve();
    this.#promised++;
    return { [Symbol.dispose]: () => void this.#promised-- };
  }

  add(held: Held): Buffer {
    const number = ++this.#last;
    this.#held.set(number, held);
    const handle = Buffer.allocUnsafe(HANDLE_BYTES);
    handle.writeBigUInt64BE(BigInt(number));
    return handle;
  }

  /** @throws StorageError OUT_OF_ORDER if there is no such handle, or it is for something else */
  get<Kind extends Held['kind']>(handle: Buffer, ...kinds: readonly Kind[]): Extract<Held, { kind: Kind }> {
    const held = this.#held.get(numberOf(handle));
    if (held !== undefined && isOneOf(held, kinds)) return held;
    throw new StorageError(
      'OUT_OF_ORDER',
      held === undefined ? 'no such handle' : 'the handle is for something else',
    );
  }

  /** Forgets a handle, without closing what it stands for. */
  drop(handle: Buffer): void {
    this.#held.delete(numberOf(handle));
  }

  /** New files that are neither finished nor discarded. */
  get unfinished(): number {
    let count = 0;
    for (const held of this.#held.values()) if (held.kind === 'new') count++;
    return count;
  }

  /** Takes out the new files, for whoever discards them. */
  takeNew(): Extract<Held, { kind: 'new' }>[] {
    const taken: Extract<Held, { kind: 'new' }>[] = [];
    for (const [number, held] of this.#held) {
      if (held.kind !== 'new') continue;
      this.#held.delete(number);
      taken.push(held);
    }
    return taken;
  }

  /** Takes out everything, for whoever closes it. */
  takeAll(): Held[] {
    const all = [...this.#held.values()];
    this.#held.clear();
    return all;
  }
}

function numberOf(handle: Buffer): number {
  return handle.length === HANDLE_BYTES ? Number(handle.readBigUInt64BE()) : 0;
}

function isOneOf<Kind extends Held['kind']>(
  held: Held,
  kinds: readonly Kind[],
): held is Extract<Held, { kind: Kind }> {
  return kinds.some((kind) => kind === held.kind);
}
