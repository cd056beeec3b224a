import { incompleteName, manifestName, receiptName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { AgentError } from '../../errors.ts';
import type {
  FileSink,
  LinkOutcome,
  NewFile,
  OlderFile,
  PatchSink,
  PublishOptions,
  RunWriter,
  StoredPiece,
  StoredPlace,
} from '../../ports/storage-account.ts';
import { carriedFolder, disown, dropToken, isStillNoted, isWhole, issueToken } from './carried.ts';
import type { FileStore } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { encodeReceipt } from './receipt-text.ts';
import { removeTree } from './remove-tree.ts';
import { pointLatestAt, temporaryName, writeBeside } from './steps.ts';

/** A run's folder moves: `.bakker/carried/TOKEN` and `.bakker/trash/…` are longer than its first name. */
const RESERVED_BYTES = 80;
const MANIFEST_PIECE_BYTES = 1024 * 1024;

/** Writes a run by plain requests. */
export class PlainRunWriter implements RunWriter {
  readonly run: RunName;
  readonly folder: string;
  readonly carriedFolders: readonly string[];
  readonly maxPathBytes: number;
  readonly openFileFrom?: NonNullable<RunWriter['openFileFrom']>;
  readonly readBack?: NonNullable<RunWriter['readBack']>;
  readonly #store: FileStore;
  readonly #root: Buffer;
  readonly #carried: ReadonlySet<string>;
  #hasSymlinks = true;
  #otherRoot: { readonly folder: string; readonly root: Buffer } | undefined;

  private constructor(options: {
    store: FileStore;
    run: RunName;
    token: string;
    carriedFolders: readonly string[];
  }) {
    this.#store = options.store;
    this.run = options.run;
    this.folder = options.token;
    this.carriedFolders = options.carriedFolders;
    this.#carried = new Set(options.carriedFolders);
    this.#root = Buffer.from(incompleteName(options.run));
    this.maxPathBytes = options.store.maxPathBytes - RESERVED_BYTES;
    if (options.store.features.serverSideCopy)
      this.openFileFrom = (path, older, about) => this.#openFileFrom(path, older, about);
    if (options.store.readBack) this.readBack = (older) => this.#readBack(older);
  }

  static async start(options: {
    store: FileStore;
    run: RunName;
    carriedFolders: readonly string[];
  }): Promise<PlainRunWriter> {
    const { token, noted } = issueToken(options.store, options.run);
    const writer = new PlainRunWriter({ ...options, token });
    await Promise.all([noted, options.store.mkdir(writer.#root)]);
    return writer;
  }

  ready(): Promise<void> | undefined {
    return this.#store.ready();
  }

  directory(path: Buffer): Promise<void> {
    return this.#store.mkdir(this.#at(path));
  }

  async symlink(path: Buffer, target: Buffer): Promise<boolean> {
    if (!this.#hasSymlinks) return false;
    try {
      await this.#store.symlink(this.#at(path), target);
      return true;
    } catch (error) {
      if (!(error instanceof AgentError) || error.code !== 'STORAGE_REFUSED') throw error;
      this.#hasSymlinks = false;
      return false;
    }
  }

  link(path: Buffer, from: StoredPlace, sizeBytes: number): Promise<LinkOutcome> {
    if (this.#carried.has(from.folder)) return this.#linkCarried(path, from, sizeBytes);
    return this.#store.link(joinPath(this.#rootOf(from.folder), from.path), this.#at(path));
  }

  file(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    return this.#store.writeFile(this.#at(path), content, about);
  }

  openFile(path: Buffer, about: NewFile): Promise<FileSink> {
    return this.#store.openFile(this.#at(path), about);
  }

  async #openFileFrom(
    path: Buffer,
    { place, ...older }: OlderFile,
    about: NewFile,
  ): Promise<PatchSink | undefined> {
    if (!this.#isOfCompleteRun(place)) return undefined;
    const from = { path: joinPath(this.#rootOf(place.folder), place.path), ...older };
    return this.#store.openFileFrom(this.#at(path), from, about);
  }

  async #readBack({ place, ...older }: OlderFile): Promise<AsyncGenerator<StoredPiece> | undefined> {
    if (!this.#isOfCompleteRun(place)) return undefined;
    return this.#store.readBack?.({ path: joinPath(this.#rootOf(place.folder), place.path), ...older });
  }

  /** What a cut-off run left may be short on the storage's disk. */
  #isOfCompleteRun({ folder }: StoredPlace): boolean {
    return folder !== this.folder && !this.#carried.has(folder);
  }

  /**
   * The order keeps every invariant if the process dies at any step: the manifest is there before the run has its name,
   * and `latest` moves to the run only then. Another writer who took the run for left behind is noticed before a name is
   * given; a manifest that another has published in its place keeps this one's, and its receipt, out.
   */
  async publish(options: PublishOptions): Promise<undefined> {
    const store = this.#store;
    const account = Buffer.alloc(0);
    // first: what the disk did not take was disowned, and has no note either
    await this.#flushAll();
    await this.#checkOwned();
    const [manifest, receipt] = await Promise.all([
      this.#writeManifest(options),
      writeBeside(store, encodeReceipt({ ...options.receipt, token: this.folder })),
      store.flush(this.#root),
    ]);
    await this.#checkOwned();
    await store.renameNew(manifest, Buffer.from(manifestName(this.run)));
    await Promise.all([
      store.renameOver(receipt, Buffer.from(receiptName(this.run))),
      this.#checkOwned(), // all that is between this and the next request is the way there
    ]);
    await store.renameNew(this.#root, Buffer.from(this.run));
    await Promise.all([store.flush(account), pointLatestAt(store, this.run)]);
    await Promise.all([store.flush(account), dropToken(store, this.run, this.folder)]);
  }

  async cleanUp({ signal }: { signal: AbortSignal }): Promise<void> {
    for (const token of this.carriedFolders) await removeTree(this.#store, carriedFolder(token), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // what was written stays as `.incomplete`, for the next run to carry over
  }

  /** What the disk may not have is not for the next run to link. */
  async #flushAll(): Promise<void> {
    try {
      await this.#store.flushAll();
    } catch (error) {
      const { run, folder: token, carriedFolders } = this;
      // A disk that fails may fail here, too: its first failure is what is told.
      await disown(this.#store, { run, token, carriedFolders }).catch(() => undefined);
      throw error;
    }
  }

  /** By its name alone the folder could be the other's by now. */
  async #checkOwned(): Promise<void> {
    if (await isStillNoted(this.#store, this.run, this.folder)) return;
    throw new AgentError(
      'STORAGE_REFUSED',
      `another bakker took the account over: run ${this.run} of ${this.#store.address} is not this one's any more`,
      {
        hint: 'one server, one account: see that no copy of this machine and no second --state folder backs up to it',
      },
    );
  }

  async #writeManifest({ manifest, manifestSizeBytes, receipt }: PublishOptions): Promise<Buffer> {
    const beside = temporaryName();
    const about = { mtimeS: receipt.finishedAtMs / 1000, executable: false, flush: true };
    await using sink = await this.#store.openFile(beside, about, manifestSizeBytes);
    let offsetBytes = 0;
    for await (const piece of manifest()) {
      for (let start = 0; start < piece.length; start += MANIFEST_PIECE_BYTES) {
        const part = Buffer.from(piece.subarray(start, start + MANIFEST_PIECE_BYTES));
        await sink.write(offsetBytes, part);
        offsetBytes += part.length;
      }
    }
    await sink.finish(offsetBytes);
    return beside;
  }

  async #linkCarried(path: Buffer, from: StoredPlace, sizeBytes: number): Promise<LinkOutcome> {
    const outcome = await this.#store.link(joinPath(carriedFolder(from.folder), from.path), this.#at(path));
    if (outcome !== 'linked' || (await isWhole(this.#store, this.#at(path), sizeBytes))) return outcome;
    await this.#store.remove(this.#at(path));
    return 'missing';
  }

  /** Nearly always the parent's, time after time. */
  #rootOf(folder: string): Buffer {
    if (folder === this.folder) return this.#root;
    if (folder !== this.#otherRoot?.folder) this.#otherRoot = { folder, root: Buffer.from(folder) };
    return this.#otherRoot.root;
  }

  #at(path: Buffer): Buffer {
    return joinPath(this.#root, path);
  }
}
