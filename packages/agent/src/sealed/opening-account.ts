import { looksSealed, manifestName } from '@bakker/impl-format';
import type { Extent, RunName } from '@bakker/impl-format';
import type { Keyring } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import { unlessLineLost } from '../reconnecting.ts';
import { knownBytes, OtherBytes } from './known-bytes.ts';
import type { SmallOpening } from '../ports/sealing-threads.ts';
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

export interface OpeningOptions {
  /** Asked once, when something sealed is met. @throws AgentError KEY_MISSING, KEY_DAMAGED, PASSPHRASE_WRONG */
  readonly keyring: () => Promise<Keyring>;
  /** What opens many small files; asked once, when they are read. */
  readonly opening: (keyring: Keyring) => Promise<SmallOpening>;
  /** SHA-256 (hex) of what this server stored as the manifest of a run; undefined if it does not remember. */
  readonly knownSha256: (run: RunName) => Promise<string | undefined>;
  /** Asked before anything of a run that is not sealed is used. @throws AgentError MANIFEST_DAMAGED if it should be */
  readonly checkClear: (run: RunName) => Promise<void>;
  /** Told of the runs that are there, once. */
  readonly checkRuns: (runs: readonly StoredRun[]) => Promise<void>;
}

/** An account whose sealed manifests and contents come out in the clear. What is not sealed passes as it is. */
export class OpeningAccount implements StorageAccount {
  readonly address: string;
  readonly side?: StorageSide;
  readonly readFiles?: NonNullable<StorageAccount['readFiles']>;
  readonly #inner: StorageAccount;
  readonly #options: OpeningOptions;
  readonly #isSealed = new Map<RunName, boolean>();
  #keyring: Promise<Keyring> | undefined;
  #opening: Promise<SmallOpening> | undefined;
  #wereRunsChecked = false;

  constructor(inner: StorageAccount, options: OpeningOptions) {
    this.#inner = inner;
    this.#options = options;
    this.address = inner.address;
    if (inner.side) this.side = inner.side;
    const readStored = inner.readFiles?.bind(inner);
    if (readStored) this.readFiles = (run, files) => this.#readFiles(readStored, run, files);
  }

  async *manifest(run: RunName, expectedBytes?: number): AsyncGenerator<Buffer> {
    const stored = this.#stored(run, expectedBytes);
    try {
      const first = await stored.next();
      const isSealed = first.done !== true && looksSealed(first.value);
      this.#isSealed.set(run, isSealed);
      const all = from(first, stored);
      if (!isSealed) {
        await this.#options.checkClear(run);
        yield* all;
        return;
      }
      const { openManifestBytes } = await import('./open-manifest-bytes.ts');
      const keyring = await this.#keys();
      yield* openManifestBytes(all, { keyring, what: manifestName(run) });
    } finally {
      await stored.return(undefined);
    }
  }

  storedManifest(run: RunName): AsyncGenerator<Buffer> {
    return this.#inner.manifest(run);
  }

  /** If the manifest is sealed, so is every file. */
  async holdsSealed(run: RunName): Promise<boolean> {
    const known = this.#isSealed.get(run);
    if (known !== undefined) return known;
    let isSealed = false;
    for await (const piece of this.#inner.manifest(run)) {
      isSealed = looksSealed(piece);
      break;
    }
    this.#isSealed.set(run, isSealed);
    return isSealed;
  }

  async readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer> {
    if (!(await this.holdsSealed(run))) return this.#inner.readFile(run, path, sizeBytes);
    const { mostStoredBytes } = await import('./open-content.ts');
    const bytes = await this.#inner.readFile(run, path, mostStoredBytes(sizeBytes));
    return this.#openAlone(run, path, { bytes, sizeBytes });
  }

  /** @throws SealBroken */
  async #openAlone(
    run: RunName,
    path: Buffer,
    { bytes, sizeBytes }: { bytes: Buffer; sizeBytes: number },
  ): Promise<Buffer> {
    const { openWhole } = await import('./open-content.ts');
    const content = openWhole(bytes, { keyring: await this.#keys(), sizeBytes });
    return content ?? this.#readByExtents(run, path, sizeBytes);
  }

  async #readFiles(
    readStored: NonNullable<StorageAccount['readFiles']>,
    run: RunName,
    files: readonly SmallFile[],
  ): Promise<readonly (Buffer | Error)[]> {
    if (!(await this.holdsSealed(run))) return readStored(run, files);
    const { mostStoredBytes } = await import('./open-content.ts');
    const opening = await (this.#opening ??= this.#keys().then(this.#options.opening));
    const wanted = files.map(({ path, sizeBytes }) => ({ path, sizeBytes: mostStoredBytes(sizeBytes) }));
    const answers = await readStored(run, wanted);
    const stored = files.flatMap(({ sizeBytes }, index) => {
      const answer = answers[index];
      return Buffer.isBuffer(answer) ? [{ stored: answer, sizeBytes, index }] : [];
    });
    const opened = new Map<number, Buffer | undefined>();
    (await opening.open(stored)).forEach((content, at) => opened.set(stored[at]?.index ?? -1, content));
    return Promise.all(
      files.map(async ({ path, sizeBytes }, index) => {
        const bytes = answers[index];
        if (!Buffer.isBuffer(bytes)) return bytes ?? new Error('an answer is missing');
        try {
          return opened.get(index) ?? (await this.#openAlone(run, path, { bytes, sizeBytes }));
        } catch (error) {
          return unlessLineLost(error);
        }
      }),
    );
  }

  /** As a large file is. */
  async #readByExtents(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const extents = [{ offsetBytes: 0, lengthBytes: sizeBytes }];
    for await (const { bytes } of this.readExtents(run, path, { extents, sizeBytes })) pieces.push(bytes);
    return Buffer.concat(pieces);
  }

  async *readExtents(
    run: RunName,
    path: Buffer,
    wanted: WantedContent,
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    if (wanted.extents.length === 0 || !(await this.holdsSealed(run))) {
      yield* this.#inner.readExtents(run, path, wanted);
      return;
    }
    const sizeBytes = Number.MAX_SAFE_INTEGER; // of what lies there, which is told to nobody
    const read = (extents: readonly Extent[]) => this.#inner.readExtents(run, path, { extents, sizeBytes });
    const { openExtents } = await import('./open-content.ts');
    yield* openExtents(read, wanted, await this.#keys());
  }

  agentConfig(): Promise<string | undefined> {
    return this.#inner.agentConfig();
  }

  identity(): Promise<string> {
    return this.#inner.identity();
  }

  probe(): Promise<Abilities> {
    return this.#inner.probe();
  }

  async listRuns(): Promise<readonly StoredRun[]> {
    const runs = await this.#inner.listRuns();
    if (!this.#wereRunsChecked) await this.#options.checkRuns(runs);
    this.#wereRunsChecked = true;
    return runs;
  }

  latest(): Promise<RunName | undefined> {
    return this.#inner.latest();
  }

  receipt(run: RunName): Promise<Receipt | undefined> {
    return this.#inner.receipt(run);
  }

  listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]> {
    return this.#inner.listFolder(run, path);
  }

  begin(options: BeginOptions): Promise<RunWriter> {
    return this.#inner.begin(options);
  }

  removeRun(run: RunName, options: { signal: AbortSignal }): Promise<void> {
    return this.#inner.removeRun(run, options);
  }

  emptyTrash(options: { signal: AbortSignal }): Promise<void> {
    return this.#inner.emptyTrash(options);
  }

  space(): Promise<Space | undefined> {
    return this.#inner.space();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }

  #keys(): Promise<Keyring> {
    return (this.#keyring ??= this.#options.keyring());
  }

  /** The manifest as it lies there; none but what this server had stored, where it remembers that. */
  async *#stored(run: RunName, expectedBytes: number | undefined): AsyncGenerator<Buffer> {
    const read = () => this.#inner.manifest(run, expectedBytes);
    const known = await this.#options.knownSha256(run);
    if (known === undefined) {
      yield* read();
      return;
    }
    try {
      yield* knownBytes(read, known);
    } catch (cause) {
      if (!(cause instanceof OtherBytes)) throw cause;
      throw new AgentError('MANIFEST_DAMAGED', `${manifestName(run)} is not what this server had stored`, {
        hint: 'it was damaged or exchanged on the storage; choose another run: bakker list',
        cause,
      });
    }
  }
}

async function* from(
  first: IteratorResult<Buffer, unknown>,
  rest: AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}
