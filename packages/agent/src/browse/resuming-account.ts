import type { Extent, RunName } from '@bakker/impl-format';
import type {
  Abilities,
  BeginOptions,
  Receipt,
  RunWriter,
  SmallFile,
  Space,
  StorageAccount,
  StorageSide,
  StoredItem,
  StoredRun,
  WantedContent,
} from '../ports/storage-account.ts';
import { isLineLost, RECONNECT_AFTER_MS, sleep, unlessLineLost } from '../reconnecting.ts';

export interface ResumingOptions {
  /** Connects anew; what it gives is closed by whoever opened the first. */
  readonly reopen: () => Promise<StorageAccount>;
  readonly onCut: (warning: string) => void;
  readonly signal: AbortSignal;
  readonly afterMs?: readonly number[];
}

/**
 * An account that is read on when the line breaks: it connects again, and asks anew for what was not answered. Runs never
 * change, so the second answer continues the first. A line that breaks before anything came, or again and again with
 * nothing in between, ends the command. What writes is passed on as it is.
 */
export class ResumingAccount implements StorageAccount {
  readonly address: string;
  readonly side?: StorageSide;
  readonly readFiles?: NonNullable<StorageAccount['readFiles']>;
  #account: StorageAccount;
  readonly #options: ResumingOptions;
  #reconnecting: Promise<void> | undefined;
  #cuts = 0;
  #hasRead = false;

  constructor(account: StorageAccount, options: ResumingOptions) {
    this.#account = account;
    this.#options = options;
    this.address = account.address;
    if (account.side) this.side = account.side;
    if (account.readFiles) {
      this.readFiles = (run, files) => this.#reading((current) => readMany(current, run, files));
    }
  }

  async *manifest(run: RunName, expectedBytes?: number): AsyncGenerator<Buffer> {
    let doneBytes = 0;
    for (;;) {
      const account = this.#account;
      let skipBytes = doneBytes;
      try {
        for await (const piece of account.manifest(run, expectedBytes)) {
          const rest = piece.subarray(Math.min(skipBytes, piece.length));
          skipBytes -= piece.length - rest.length;
          if (rest.length === 0) continue;
          this.#came();
          doneBytes += rest.length;
          yield rest;
        }
        return;
      } catch (error) {
        await this.#reconnect(account, error);
      }
    }
  }

  readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer> {
    return this.#reading((account) => account.readFile(run, path, sizeBytes));
  }

  async *readExtents(
    run: RunName,
    path: Buffer,
    { extents, sizeBytes }: WantedContent,
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    let left = extents;
    for (;;) {
      const account = this.#account;
      let endBytes = 0;
      try {
        for await (const piece of account.readExtents(run, path, { extents: left, sizeBytes })) {
          this.#came();
          endBytes = piece.offsetBytes + piece.bytes.length;
          yield piece;
        }
        return;
      } catch (error) {
        await this.#reconnect(account, error);
        left = after(left, endBytes);
      }
    }
  }

  listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]> {
    return this.#reading((account) => account.listFolder(run, path));
  }

  listRuns(): Promise<readonly StoredRun[]> {
    return this.#reading((account) => account.listRuns());
  }

  latest(): Promise<RunName | undefined> {
    return this.#reading((account) => account.latest());
  }

  receipt(run: RunName): Promise<Receipt | undefined> {
    return this.#reading((account) => account.receipt(run));
  }

  agentConfig(): Promise<string | undefined> {
    return this.#account.agentConfig();
  }

  identity(): Promise<string> {
    return this.#account.identity();
  }

  probe(): Promise<Abilities> {
    return this.#account.probe();
  }

  begin(options: BeginOptions): Promise<RunWriter> {
    return this.#account.begin(options);
  }

  removeRun(run: RunName, options: { signal: AbortSignal }): Promise<void> {
    return this.#account.removeRun(run, options);
  }

  emptyTrash(options: { signal: AbortSignal }): Promise<void> {
    return this.#account.emptyTrash(options);
  }

  space(): Promise<Space | undefined> {
    return this.#account.space();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#account[Symbol.asyncDispose]();
  }

  async #reading<Answer>(read: (account: StorageAccount) => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const account = this.#account;
      try {
        const answer = await read(account);
        this.#came();
        return answer;
      } catch (error) {
        await this.#reconnect(account, error);
      }
    }
  }

  #came(): void {
    this.#hasRead = true;
    this.#cuts = 0;
  }

  /** Resolves when `account`, which failed with `error`, has been replaced: once for all that were under way. */
  async #reconnect(account: StorageAccount, error: unknown): Promise<void> {
    if (!isLineLost(error) || !this.#hasRead) throw error;
    if (account !== this.#account) return;
    await (this.#reconnecting ??= this.#connectAgain(error).finally(() => (this.#reconnecting = undefined)));
  }

  async #connectAgain(cause: unknown): Promise<void> {
    const { reopen, onCut, signal, afterMs = RECONNECT_AFTER_MS } = this.#options;
    for (let error = cause; ;) {
      signal.throwIfAborted();
      const waitMs = afterMs[this.#cuts++];
      if (waitMs === undefined) throw error;
      onCut(
        `${error instanceof Error ? error.message : String(error)}; connecting again in ${waitMs / 1000} s`,
      );
      await sleep(waitMs, signal);
      try {
        this.#account = await reopen();
        return;
      } catch (failure) {
        if (!isLineLost(failure)) throw failure;
        error = failure;
      }
    }
  }
}

/** What lies at `offsetBytes` and behind it. */
function after(extents: readonly Extent[], offsetBytes: number): Extent[] {
  const rest: Extent[] = [];
  for (const extent of extents) {
    const doneBytes = Math.min(extent.lengthBytes, Math.max(0, offsetBytes - extent.offsetBytes));
    if (doneBytes === extent.lengthBytes) continue;
    rest.push({ offsetBytes: extent.offsetBytes + doneBytes, lengthBytes: extent.lengthBytes - doneBytes });
  }
  return rest;
}

/** A storage that is connected to again may have become an older one meanwhile. */
function readMany(
  account: StorageAccount,
  run: RunName,
  files: readonly SmallFile[],
): Promise<readonly (Buffer | Error)[]> {
  if (account.readFiles) return account.readFiles(run, files);
  const alone = files.map(({ path, sizeBytes }) =>
    account.readFile(run, path, sizeBytes).catch(unlessLineLost),
  );
  return Promise.all(alone);
}
