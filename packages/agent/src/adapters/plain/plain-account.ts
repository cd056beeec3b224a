import {
  LATEST,
  PRIVATE_FOLDER,
  RECEIPTS,
  TRASH,
  classifyName,
  compareRunNames,
  diffName,
  manifestName,
  nextRunName,
  parseRunName,
  receiptName,
} from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import type {
  Abilities,
  BeginOptions,
  Receipt,
  RunWriter,
  Space,
  StorageAccount,
  StoredItem,
  StoredRun,
  WantedContent,
} from '../../ports/storage-account.ts';
import { adoptUnfinished, namesIn } from './carried.ts';
import type { FileStore } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { probeAbilities } from './probe.ts';
import { manifestUnread } from './manifest-unread.ts';
import { decodeReceipt } from './receipt-text.ts';
import { PlainRunWriter } from './run-writer.ts';
import { pointLatestAt, replaceFile, unlessMissing, unlessUnread } from './steps.ts';
import { removeTree } from './remove-tree.ts';

const IDENTITY = Buffer.from(`${PRIVATE_FOLDER}/id`);

/** An account where nothing of ours runs: every rule of the layout is kept by the order of plain requests. */
export class PlainAccount implements StorageAccount {
  readonly address: string;
  readonly #store: FileStore;
  #identity: Promise<string> | undefined;

  constructor(store: FileStore) {
    this.#store = store;
    this.address = store.address;
  }

  async agentConfig(): Promise<undefined> {
    // an account that nobody else looks after has none
  }

  /** Asked for once: two who make one at the same time would not agree. */
  identity(): Promise<string> {
    return (this.#identity ??= this.#readOrMakeIdentity());
  }

  async #readOrMakeIdentity(): Promise<string> {
    const known = await this.#store.readFile(IDENTITY, 64).catch(unlessMissing);
    if (known && known.length > 0) return known.toString('latin1').trim();
    await this.#ensurePrivateFolders();
    const made = randomBytes(16).toString('hex');
    await replaceFile(this.#store, IDENTITY, Buffer.from(`${made}\n`));
    return made;
  }

  async probe(): Promise<Abilities> {
    await this.#ensurePrivateFolders();
    return probeAbilities(this.#store);
  }

  async listRuns(): Promise<readonly StoredRun[]> {
    return (await this.#look()).runs;
  }

  async latest(): Promise<RunName | undefined> {
    const [run, runs] = await Promise.all([this.#latestTarget(), this.listRuns()]);
    return runs.some((stored) => stored.run === run && stored.state === 'complete') ? run : undefined;
  }

  async receipt(run: RunName): Promise<Receipt | undefined> {
    const text = await this.#store.readFile(Buffer.from(receiptName(run)), 1024).catch(unlessUnread);
    return text && decodeReceipt(text, run);
  }

  async *manifest(run: RunName, expectedBytes?: number): AsyncGenerator<Buffer> {
    try {
      yield* this.#store.readStream(Buffer.from(manifestName(run)), expectedBytes);
    } catch (error) {
      throw manifestUnread(error, { run, address: this.address });
    }
  }

  readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer> {
    return this.#store.readFile(joinPath(Buffer.from(run), path), sizeBytes);
  }

  readExtents(
    run: RunName,
    path: Buffer,
    { extents }: WantedContent,
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    return this.#store.readExtents(joinPath(Buffer.from(run), path), extents);
  }

  async listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]> {
    const items: StoredItem[] = [];
    for await (const batch of this.#store.list(joinPath(Buffer.from(run), path))) items.push(...batch);
    return items;
  }

  async begin({ nowMs }: BeginOptions): Promise<RunWriter> {
    const store = this.#store;
    const [{ runs, others, stray }, latest] = await Promise.all([
      this.#look(),
      this.#latestTarget(),
      this.#ensurePrivateFolders(),
    ]);
    const privateNames = await namesIn(store, Buffer.from(PRIVATE_FOLDER));
    const complete = runs.filter((stored) => stored.state === 'complete').map((stored) => stored.run);
    for (const name of stray) await store.remove(Buffer.from(name));
    const newest = complete.at(-1);
    if (newest && latest !== newest) await pointLatestAt(store, newest);
    const unfinished = runs.filter((stored) => stored.state === 'incomplete').map((stored) => stored.run);
    const carriedFolders = await adoptUnfinished(store, { unfinished, privateNames });
    return PlainRunWriter.start({ store, run: nextRunName([...complete, ...others], nowMs), carriedFolders });
  }

  async removeRun(run: RunName, { signal }: { signal: AbortSignal }): Promise<void> {
    await this.#ensurePrivateFolders();
    const complete = (await this.listRuns()).filter(
      (stored) => stored.state === 'complete' && stored.run !== run,
    );
    const survivor = complete.at(-1);
    if (survivor && (await this.latest()) !== survivor.run) await pointLatestAt(this.#store, survivor.run);
    const trash = Buffer.from(`${TRASH}/${run}.${randomBytes(4).toString('hex')}`);
    await this.#store.renameNew(Buffer.from(run), trash);
    await this.#removeBeside(run, signal);
    await removeTree(this.#store, trash, signal);
  }

  async emptyTrash({ signal }: { signal: AbortSignal }): Promise<void> {
    const trash = Buffer.from(TRASH);
    if (!(await this.#store.lstat(trash))) return;
    let taken: ReadonlySet<string> | undefined;
    for await (const items of this.#store.list(trash)) {
      for (const item of items) {
        taken ??= await this.#takenNames();
        const run = trashedRun(item.name);
        // whoever put it there may have died before the rest of it went
        if (run !== undefined && !taken.has(run)) await this.#removeBeside(run, signal);
        await removeTree(this.#store, joinPath(trash, item.name), signal);
      }
    }
  }

  space(): Promise<Space | undefined> {
    return this.#store.space();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  /** Removes what belongs to a run but is not in its folder, which has gone. */
  async #removeBeside(run: RunName, signal: AbortSignal): Promise<void> {
    const files = [manifestName(run), receiptName(run)].map((name) =>
      this.#store.remove(Buffer.from(name)).catch(unlessMissing),
    );
    await Promise.all(files);
    const diff = Buffer.from(diffName(run));
    if (await this.#store.lstat(diff)) await removeTree(this.#store, diff, signal);
  }

  /** Of runs in any state, and of what else is called like one. */
  async #takenNames(): Promise<ReadonlySet<string>> {
    const { runs, others } = await this.#look();
    return new Set([...runs.map(({ run }) => run), ...others]);
  }

  /** What `latest` says, whether it is true or not. */
  async #latestTarget(): Promise<RunName | undefined> {
    const target = await this.#store.readlink(Buffer.from(LATEST)).catch(() => undefined);
    return target && parseRunName(target.toString('latin1'));
  }

  async #ensurePrivateFolders(): Promise<void> {
    const paths = [PRIVATE_FOLDER, RECEIPTS, TRASH].map((folder) => Buffer.from(folder));
    const found = await Promise.all(paths.map((path) => this.#store.lstat(path)));
    for (const [index, path] of paths.entries()) if (!found[index]) await this.#store.mkdir(path);
  }

  /**
   * One listing of the account: its runs, oldest first, other things that have the name of one (a symlink to where somebody has
   * moved it), and the manifests that belong to neither.
   */
  async #look(): Promise<{
    runs: readonly StoredRun[];
    others: readonly RunName[];
    stray: readonly string[];
  }> {
    const others: RunName[] = [];
    const states = new Map<RunName, StoredRun['state']>();
    const manifestSizes = new Map<RunName, number>();
    for await (const items of this.#store.list(Buffer.alloc(0))) {
      for (const item of items) {
        const found = classifyName(item.name);
        if (found.kind === 'run' && item.type === 'directory') states.set(found.run, 'complete');
        else if (found.kind === 'run') others.push(found.run);
        if (found.kind === 'incomplete' && item.type === 'directory' && !states.has(found.run))
          states.set(found.run, 'incomplete');
        if (found.kind === 'manifest' && item.type === 'file') manifestSizes.set(found.run, item.sizeBytes);
      }
    }
    const runs = [...states]
      .map(([run, state]) => ({
        run,
        state,
        manifestSizeBytes: state === 'complete' ? manifestSizes.get(run) : undefined,
      }))
      .sort((a, b) => compareRunNames(a.run, b.run));
    const stray = [...manifestSizes.keys()].filter(
      (run) => states.get(run) !== 'complete' && !others.includes(run),
    );
    return { runs, others, stray: stray.map(manifestName) };
  }
}

/** Which run something in the trash was, by its name: that of the run, a dot and something random. */
function trashedRun(name: Buffer): RunName | undefined {
  const [run = ''] = name.toString('latin1').split('.');
  return parseRunName(run);
}
