import type { Entry, RunName } from '@bakker/impl-format';
import { hash } from 'node:crypto';
import { Budget } from '../backup/budget.ts';
import { ContentHash } from '../backup/content-hash.ts';
import { storedPath } from '../backup/stored-place.ts';
import { damageOf, dataExtents, DIFFERENT, SMALL_BYTES } from '../browse/stored-content.ts';
import type { Progress } from '../ports/progress.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { ReadInodes } from './read-inodes.ts';

interface Options {
  readonly account: StorageAccount;
  readonly run: RunName;
  readonly progress: Progress;
  readonly readInodes: ReadInodes;
  readonly onDamage: (path: Buffer, reason: string) => void;
}

/**
 * Reads contents and compares their hashes, each stored inode once where the storage tells it: 256 small files or 32 MiB in
 * flight, and four large ones.
 */
export class ContentChecker {
  readonly #options: Options;
  readonly #small = new Budget({ maxCount: 256, maxBytes: 32 * 1024 * 1024 });
  readonly #large = new Budget({ maxCount: 4, maxBytes: Number.POSITIVE_INFINITY });
  readonly #inFlight = new Set<Promise<void>>();
  /** By inode. */
  readonly #reading = new Map<bigint, Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Waits for room, and begins.
   * @param inode - of the stored file, where the storage tells it
   * @throws what is about more than one file
   */
  async check(entry: Entry, inode: bigint | undefined): Promise<void> {
    const path = storedPath(entry);
    const { sha256 } = entry;
    if (path === undefined || sha256 === undefined) return;
    // Of a sparse file only the data is read, and each manifest says itself where that is.
    const identity = inode === undefined || entry.extents !== undefined ? undefined : { inode, sha256 };
    if (identity !== undefined && (await this.#isKnown(identity))) {
      this.#options.progress.advance({ bytes: entry.sealedBytes ?? entry.sizeBytes });
      return;
    }
    const isSmall = entry.sizeBytes <= SMALL_BYTES;
    const budget = isSmall ? this.#small : this.#large;
    const room = budget.room();
    if (room !== undefined) await room;
    if (this.#failure !== undefined) throw this.#failure.error;
    budget.take(entry.sizeBytes);
    const work = (isSmall ? this.#wholeProblem(entry, path) : this.#streamProblem(entry, path))
      .catch(damageOf)
      .then(
        (problem) => {
          if (problem !== undefined) this.#options.onDamage(entry.path, problem);
          else if (identity !== undefined) this.#options.readInodes.add(identity.inode, sha256);
          this.#options.progress.advance({ bytes: entry.sealedBytes ?? entry.sizeBytes });
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => {
        if (inode !== undefined && this.#reading.get(inode) === work) this.#reading.delete(inode);
        this.#inFlight.delete(work);
        budget.give(entry.sizeBytes);
      });
    if (identity !== undefined) this.#reading.set(identity.inode, work);
    this.#inFlight.add(work);
  }

  /** Resolves when all that was begun is done. @throws what is about more than one file */
  async finish(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** What was found damaged is read again: each of its names is to be told. */
  async #isKnown({ inode, sha256 }: { inode: bigint; sha256: Buffer }): Promise<boolean> {
    await this.#reading.get(inode);
    return this.#options.readInodes.has(inode, sha256);
  }

  async #wholeProblem(entry: Entry, path: Buffer): Promise<string | undefined> {
    const { account, run } = this.#options;
    const bytes = await account.readFile(run, path, entry.sizeBytes);
    if (bytes.length !== entry.sizeBytes)
      return `it has ${bytes.length} bytes on the storage instead of ${entry.sizeBytes}`;
    return entry.sha256?.equals(hash('sha256', bytes, 'buffer')) === true ? undefined : DIFFERENT;
  }

  async #streamProblem(entry: Entry, path: Buffer): Promise<string | undefined> {
    const { account, run } = this.#options;
    const sum = new ContentHash();
    const wanted = { extents: dataExtents(entry), sizeBytes: entry.sizeBytes };
    for await (const { offsetBytes, bytes } of account.readExtents(run, path, wanted))
      sum.update(offsetBytes, bytes);
    return entry.sha256?.equals(sum.finish(entry.sizeBytes)) === true ? undefined : DIFFERENT;
  }
}
