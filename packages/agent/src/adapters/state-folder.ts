import { ManifestError, manifestName, parseRunName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { AgentError } from '../errors.ts';
import type {
  BlockMemory,
  Catalogue,
  KeepOptions,
  KeptManifest,
  LastRuns,
  ManifestDraft,
  Scratch,
  SealedAccountMemory,
  StateFolder,
} from '../ports/state-folder.ts';
import { tryLock } from '@bakker/linux';
import { LAST_RUNS, readLastRuns } from './state/last-runs-file.ts';
import { readIfThere } from './state/read-if-there.ts';
import { decodeSealedAccount, encodeSealedAccount, sealedAccountIn } from './state/sealed-account-text.ts';
import { explainState, isDamagedDatabase } from './state/state-failures.ts';

const PIECE_BYTES = 1024 * 1024;
const CATALOGUE = 'catalogue.sqlite';
const BLOCKS = 'blocks.sqlite';
const fsync = promisify(fs.fsync);

/** @throws AgentError STATE_UNUSABLE if the folder can't be made or written */
export async function openStateFolder(dir: string): Promise<StateFolder> {
  try {
    fs.mkdirSync(path.join(dir, 'kept'), { recursive: true, mode: 0o700 });
    fs.accessSync(dir, fs.constants.W_OK);
  } catch (cause) {
    const explained = explainState(cause, dir);
    if (explained instanceof AgentError) throw explained;
    // Node says ENOENT of a folder that can't be made where all is read-only
    throw new AgentError('STATE_UNUSABLE', `the state folder ${dir} can't be made`, {
      hint: 'see that what is above it is a folder and can be written, or name another with --state DIR',
      cause,
    });
  }
  return new DiskStateFolder(dir);
}

class DiskStateFolder implements StateFolder {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async lock(purpose: string): Promise<Disposable> {
    return this.#guard(() => this.#lock(purpose));
  }

  #lock(purpose: string): Disposable {
    const file = this.#file('lock');
    const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    if (!tryLock(descriptor)) {
      const holder = fs.readFileSync(descriptor, 'utf8').trim();
      fs.closeSync(descriptor);
      throw new AgentError(
        'LOCKED',
        `another bakker is at work here: ${holder || 'it has not said what it does'}`,
        {
          hint: 'wait until it ends; the lock goes with its process, nothing has to be removed',
        },
      );
    }
    // the text is for people; the kernel's lock is what counts, so a text left by a dead process means nothing
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, `${purpose}, process ${process.pid}, since ${new Date().toISOString()}\n`, 0);
    return { [Symbol.dispose]: () => fs.closeSync(descriptor) };
  }

  async lastRuns(): Promise<LastRuns> {
    return readLastRuns(this.folder);
  }

  async saveLastRuns(last: LastRuns): Promise<void> {
    this.#guard(() => replaceFile(this.#file(LAST_RUNS), `${JSON.stringify(last, undefined, 2)}\n`));
  }

  async catalogue(accountId: string): Promise<Catalogue> {
    const { SqliteCatalogue } = await import('./state/sqlite-catalogue.ts');
    const open = (file: string) => new SqliteCatalogue(file, accountId);
    return this.#guard(() => openOrRenew(this.#file(CATALOGUE), open));
  }

  async blockMemory(accountId: string): Promise<BlockMemory> {
    const { SqliteBlockMemory } = await import('./state/sqlite-block-memory.ts');
    const open = (file: string) => new SqliteBlockMemory(file, accountId);
    return this.#guard(() => openOrRenew(this.#file(BLOCKS), open));
  }

  async draft(kind: 'clear' | 'sealed' = 'clear'): Promise<ManifestDraft> {
    const file = this.#file(kind === 'clear' ? 'draft.impl' : 'draft.sealed');
    const options = {
      keep: (run: RunName, about: KeepOptions & { readonly sha256: string }) =>
        this.#enterKept(run, file, about),
      explain: (error: unknown) => this.explain(error),
    };
    return this.#guard(() => new DiskDraft(file, options));
  }

  async keptManifest(run: RunName): Promise<KeptManifest | undefined> {
    const [sha256, digest, bytes] = readIfThere(this.#kept(run, 'digests'))?.trim().split(' ') ?? [];
    const file = this.#kept(run, 'impl');
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (!sha256 || !digest || !stat) return undefined;
    const sizeBytes = bytes === undefined ? stat.size : Number(bytes);
    return { digest, stored: { sizeBytes, sha256 }, read: () => readPieces(file) };
  }

  async keepManifest(
    run: RunName,
    bytes: AsyncIterable<Uint8Array>,
    { digest, stored, isPending = false }: KeepOptions,
  ): Promise<void> {
    const beside = this.#file('kept/new');
    const hash = createHash('sha256');
    const descriptor = this.#guard(() => fs.openSync(beside, 'w', 0o600));
    try {
      for await (const piece of bytes) {
        hash.update(piece);
        this.#guard(() => fs.writeFileSync(descriptor, piece));
      }
      this.#guard(() => fs.fsyncSync(descriptor));
    } finally {
      fs.closeSync(descriptor);
    }
    await this.#enterKept(run, beside, { digest, stored, isPending, sha256: hash.digest('hex') });
  }

  async keptRuns(): Promise<readonly RunName[]> {
    const names = fs.readdirSync(this.#file('kept')).filter((name) => name.endsWith('.digests'));
    return names
      .map((name) => parseRunName(name.slice(0, -'.digests'.length)))
      .filter((run) => run !== undefined);
  }

  async keepOnly(run: RunName): Promise<void> {
    for (const name of fs.readdirSync(this.#file('kept'))) {
      const other = parseRunName(name.split('.')[0] ?? '');
      if (other !== run) fs.rmSync(this.#file(`kept/${name}`), { force: true });
    }
  }

  async sealedAccount(accountId: string): Promise<SealedAccountMemory | undefined> {
    return decodeSealedAccount(readIfThere(this.#file('sealed.json')), accountId);
  }

  async hasOtherSealedAccount(accountId: string): Promise<boolean> {
    const known = sealedAccountIn(readIfThere(this.#file('sealed.json')));
    return known !== undefined && known !== accountId;
  }

  async saveSealedAccount(accountId: string, memory: SealedAccountMemory): Promise<void> {
    this.#guard(() => replaceFile(this.#file('sealed.json'), encodeSealedAccount(accountId, memory)));
  }

  async scratch(): Promise<Scratch> {
    const { SqliteScratch } = await import('./state/sqlite-scratch.ts');
    return this.#guard(() => new SqliteScratch(this.#file('scratch.sqlite')));
  }

  async mend(error: unknown): Promise<string | undefined> {
    if (error instanceof ManifestError) {
      const run = (await this.keptRuns()).find((kept) => manifestName(kept) === error.source);
      if (run === undefined) return undefined;
      for (const suffix of ['digests', 'impl']) fs.rmSync(this.#kept(run, suffix), { force: true });
      return this.#kept(run, 'impl');
    }
    if (!isDamagedDatabase(error)) return undefined;
    const { isSound } = await import('./state/is-sound.ts');
    const damaged = [CATALOGUE, BLOCKS].filter((name) => !isSound(this.#file(name)));
    for (const name of damaged) removeDatabase(this.#file(name));
    return damaged.length > 0 ? damaged.map((name) => this.#file(name)).join(' and ') : undefined;
  }

  explain(error: unknown): unknown {
    return explainState(error, this.folder);
  }

  #guard<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** Gives a file that is on the disk its name as a kept manifest. */
  async #enterKept(
    run: RunName,
    file: string,
    { digest, stored, sha256, isPending = false }: KeepOptions & { readonly sha256: string },
  ): Promise<void> {
    const text =
      stored === undefined ? `${sha256} ${digest}` : `${stored.sha256} ${digest} ${stored.sizeBytes}`;
    this.#guard(() => {
      fs.rmSync(this.#kept(run, 'digests'), { force: true });
      fs.renameSync(file, this.#kept(run, 'impl'));
      replaceFile(this.#kept(run, 'digests'), `${text}\n`);
    });
    if (!isPending) await this.keepOnly(run);
  }

  #file(name: string): string {
    return path.join(this.folder, name);
  }

  #kept(run: RunName, suffix: string): string {
    return this.#file(`kept/${run}.${suffix}`);
  }
}

/** A manifest on its way: written from the start to the end, then read. */
class DiskDraft implements ManifestDraft {
  readonly #file: string;
  readonly #descriptor: number;
  readonly #keep: ManifestDraft['keepAs'];
  readonly #explain: (error: unknown) => unknown;
  #isOpen = true;
  #flushed: Promise<void> | undefined;

  /** @param options - `keep` takes the file, which is on the disk; `explain` says what the disk refused */
  constructor(
    file: string,
    { keep, explain }: { keep: ManifestDraft['keepAs']; explain: (error: unknown) => unknown },
  ) {
    this.#file = file;
    this.#keep = keep;
    this.#explain = explain;
    this.#descriptor = fs.openSync(file, 'w+', 0o600);
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      let written = 0;
      while (written < bytes.length) written += fs.writeSync(this.#descriptor, bytes, written);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  read(): AsyncGenerator<Buffer> {
    return readPieces(this.#file);
  }

  flush(): void {
    this.#flushed ??= fsync(this.#descriptor).catch((error: unknown) => {
      throw this.#explain(error);
    });
    this.#flushed.catch(() => undefined); // told by `keepAs`
  }

  async keepAs(run: RunName, about: KeepOptions & { readonly sha256: string }): Promise<void> {
    this.flush();
    await this.#flushed;
    this.#close();
    await this.#keep(run, about);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushed?.catch(() => undefined);
    if (!this.#isOpen) return;
    this.#close();
    fs.rmSync(this.#file, { force: true });
  }

  #close(): void {
    this.#isOpen = false;
    fs.closeSync(this.#descriptor);
  }
}

/** Opens a database that only saves work: a damaged one is removed, and fills again. */
function openOrRenew<T>(file: string, open: (file: string) => T): T {
  const openPrivate = () => {
    // names and hashes are for root's eyes, whatever the folder's mode
    fs.closeSync(fs.openSync(file, 'a', 0o600));
    return open(file);
  };
  try {
    return openPrivate();
  } catch (error) {
    // one that only finds no room is as good as before
    if (!isDamagedDatabase(error)) throw error;
    removeDatabase(file);
    return openPrivate();
  }
}

function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
}

async function* readPieces(file: string): AsyncGenerator<Buffer> {
  const handle = await fs.promises.open(file, 'r');
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(PIECE_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, PIECE_BYTES, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

function replaceFile(file: string, text: string): void {
  const beside = `${file}.${randomBytes(4).toString('hex')}`;
  const descriptor = fs.openSync(beside, 'wx', 0o600);
  try {
    try {
      fs.writeFileSync(descriptor, text);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(beside, file);
  } catch (error) {
    fs.rmSync(beside, { force: true });
    throw error;
  }
}
