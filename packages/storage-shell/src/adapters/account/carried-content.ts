import { hasCode } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { StorageError } from '../../errors.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { removeTree } from '../runs/remove-tree.ts';
import type { RemoveOptions } from '../runs/remove-tree.ts';
import { openCarried } from './carried.ts';

export interface CarriedContentOptions {
  /** `.bakker` */
  readonly hidden: FolderHandle;
  readonly tokens: readonly string[];
  readonly space: SpaceGuard;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** What earlier runs left for this one to link. It goes once the run is published, or piece by piece if the run needs its room. */
export class CarriedContent {
  readonly #options: CarriedContentOptions;
  #isGone: boolean;
  #step: Promise<void> | undefined;
  /** What its removal would free; undefined until somebody has to know. */
  #bytes: number | undefined;

  constructor(options: CarriedContentOptions) {
    this.#options = options;
    this.#isGone = options.tokens.length === 0;
  }

  /**
   * Gives some of it up if something was refused for want of space: content that nobody takes any more (what is excluded by
   * now) would fill the account for good. No more than is needed, and none if all of it is too little: it need not be sent
   * again. What the run has linked already stays its own; a link that comes later finds nothing, and the content is sent.
   *
   * @param error - what was refused for. Thrown if it is something else, or if nothing can be given up for it
   */
  async makeRoom(error: unknown, bytes: number): Promise<void> {
    if (this.#isGone || !isShortOfSpace(error)) throw error;
    this.#step ??= this.#giveUp(bytes).finally(() => (this.#step = undefined));
    await this.#step.catch(() => {
      throw error;
    });
  }

  /** @throws LibcError; the signal's reason */
  remove(): Promise<void> {
    return this.#remove(removing(this.#options));
  }

  /** Resolves when nothing is being removed to make room. */
  async idle(): Promise<void> {
    await this.#step?.catch(() => undefined);
  }

  async #giveUp(bytes: number): Promise<void> {
    const missingBytes = this.#options.space.missing(bytes);
    this.#bytes ??= await this.#measure();
    if (missingBytes > this.#bytes) throw new TooLittle();
    const wantedBytes = Math.max(missingBytes, LEAST_BYTES);
    const { signal, freed: counted } = removing(this.#options);
    let freedBytes = 0;
    const freed = (gone: number): void => {
      counted?.(gone);
      freedBytes += gone;
    };
    const check = (): void => {
      if (freedBytes >= wantedBytes) throw new Enough();
    };
    try {
      await this.#remove({ signal, freed, check });
      this.#isGone = true;
    } catch (error) {
      if (!(error instanceof Enough)) throw error;
    } finally {
      this.#bytes -= freedBytes;
    }
  }

  async #measure(): Promise<number> {
    const { hidden, tokens, signal } = this.#options;
    using carried = openCarried(hidden) ?? null;
    return carried === null ? 0 : await measure(carried, tokens, signal);
  }

  async #remove(options: RemoveOptions): Promise<void> {
    const { hidden, tokens } = this.#options;
    using carried = openCarried(hidden) ?? null;
    if (carried === null) return;
    for (const token of tokens) await removeTree(carried, Buffer.from(token), options);
  }
}

/** So that not every file has to wait for the removal of a few. */
const LEAST_BYTES = 64 * 1024 * 1024;

class Enough extends Error {}

class TooLittle extends Error {}

/** What goes was counted when it was stored, by this session or by one before. */
export function removing({ space, signal }: Pick<CarriedContentOptions, 'space' | 'signal'>): RemoveOptions {
  return space.isCounted ? { signal, freed: (bytes) => space.released(bytes, 1) } : { signal };
}

/** Whether something was refused for want of space. */
export function isShortOfSpace(error: unknown): boolean {
  if (error instanceof StorageError) return error.code === 'FULL' || error.code === 'QUOTA';
  return hasCode(error, 'ENOSPC', 'EDQUOT');
}

/** Loaded only where it is needed; apart, because the compiler leaves an import beside `using` as it is written. */
async function measure(
  carried: FolderHandle,
  tokens: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const { measureFolders } = await import('../runs/measure-runs.ts');
  return (await measureFolders(carried, tokens, signal)).bytes;
}
