import { LargeFiles } from '../blocks/large-files.ts';
import type { BlockMemory } from '../ports/state-folder.ts';

/** The memory of blocks, opened by the first large file that was changed or is new, closed with the run. */
export class LazyBlocks implements Disposable {
  /** Files of this size and more. */
  readonly fromBytes: number;
  readonly #open: () => Promise<BlockMemory>;
  readonly #about: ConstructorParameters<typeof LargeFiles>[1];
  #opening: Promise<LargeFiles> | undefined;
  #memory: BlockMemory | undefined;

  constructor(
    fromBytes: number,
    open: () => Promise<BlockMemory>,
    about: ConstructorParameters<typeof LargeFiles>[1],
  ) {
    this.fromBytes = fromBytes;
    this.#open = open;
    this.#about = about;
  }

  open(): Promise<LargeFiles> {
    return (this.#opening ??= this.#open().then((memory) => {
      this.#memory = memory;
      return new LargeFiles(memory, this.#about);
    }));
  }

  /** What was read is in a run now. */
  published(): void {
    this.#memory?.published();
  }

  [Symbol.dispose](): void {
    this.#memory?.[Symbol.dispose]();
  }
}
