import { manifestName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { hasCode, openBeneath, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import type { CheckTimes, HurtName, HurtRecord, StoredContent } from '../../ports/stored-content.ts';
import { placeOf } from '../../scrub/choose-due.ts';
import { NOTED_RECORD_BYTES, NotedSums, encodeNotedSum } from '../../scrub/noted-sums.ts';
import { SortedNumbers } from '../../scrub/number-set.ts';
import { readHurt, writeHurt } from './hurt-record.ts';
import { StorageError } from '../../errors.ts';
import { lockNames, tryLockScrub } from '../account/locks.ts';
import { lookAt } from '../account/look.ts';
import { openAccountFolder } from './open-account.ts';
import { openCheckTimes, openScrubFolder, readKept, replaceKept } from './check-times.ts';
import { checkFile, hashFromDisk } from './hash-stored.ts';
import { readReceipt } from './stored-runs.ts';
import { walkTree } from './walk-tree.ts';
import type { TreeVisitor } from './walk-tree.ts';

/**
 * Opens an account for its scrub, one at a time: of two, the later one to end would write what it knows of hurt files over what
 * the other found.
 *
 * @throws StorageError NOT_FOUND if there is no such account, LOCKED; LibcError
 */
export function openContent(rootDir: string, account: string): StoredContent {
  return new DiskContent(openAccountFolder(rootDir, account), account);
}

const HIDDEN = Buffer.from('.bakker');
const NOTED = Buffer.from('noted');

class DiskContent implements StoredContent {
  readonly #account: FolderHandle;
  readonly #hidden: FolderHandle;
  readonly #scrub: FolderHandle;
  #inodes: Float64Array = new Float64Array(0);

  constructor(account: FolderHandle, name: string) {
    using stack = new DisposableStack();
    this.#account = stack.use(account);
    this.#hidden = stack.use(openFolderBeneath(account, HIDDEN));
    this.#scrub = stack.use(openScrubFolder(this.#hidden));
    if (!tryLockScrub(this.#scrub)) {
      throw new StorageError('LOCKED', `another scrub reads ${name} now`, {
        hint: 'it finds what is hurt; run this again when it has ended',
      });
    }
    stack.move();
  }

  async inodes(signal: AbortSignal): Promise<Float64Array> {
    const numbers = new SortedNumbers();
    await this.#eachRun({
      signal,
      entry: ({ isFile, inode }) => {
        if (isFile) numbers.add(inode);
      },
    });
    return (this.#inodes = numbers.finish());
  }

  checkTimes(inodes: Float64Array): CheckTimes {
    return openCheckTimes(this.#scrub, inodes);
  }

  async check({ isWanted, goesOn, checked, signal }: Parameters<StoredContent['check']>[0]): Promise<void> {
    using noted = this.#openNoted();
    const stop = new AbortController();
    let isStopped = false;
    const either = AbortSignal.any([signal, stop.signal]);
    try {
      await this.#eachRun({
        signal: either,
        entry: (entry) => {
          if (isStopped || !entry.isFile || !isWanted(entry.inode)) return;
          return checkFile(entry, noted, { signal, goesOn }).then(({ outcome, sizeBytes }) => {
            // Under another name it may still be there.
            if (outcome === 'gone' || checked(entry.inode, outcome, sizeBytes)) return;
            isStopped = true;
            stop.abort();
          });
        },
      });
    } catch (error) {
      if (!isStopped || signal.aborted) throw error;
    }
  }

  async hurtManifests(signal: AbortSignal): Promise<RunName[]> {
    const hurt: RunName[] = [];
    for (const run of lookAt(this.#account).complete) {
      signal.throwIfAborted();
      const expected = readReceipt(this.#account, run)?.manifestSha256;
      if (expected === undefined) continue;
      const found = await this.#hashManifest(run, signal);
      // Without the run, retention took it meanwhile.
      if (found !== expected && lookAt(this.#account).complete.includes(run)) hurt.push(run);
    }
    return hurt;
  }

  async namesOf(inodes: ReadonlySet<number>, signal: AbortSignal): Promise<HurtName[]> {
    const names: HurtName[] = [];
    const path: Buffer[] = [];
    await this.#eachRun({
      signal,
      path,
      entry: ({ isFile, inode, name }, run) => {
        if (isFile && inodes.has(inode)) names.push({ inode, run, path: joined([...path, name]) });
      },
    });
    return names;
  }

  hurt(): HurtRecord | undefined {
    return readHurt(this.#account);
  }

  async saveHurt(record: HurtRecord): Promise<void> {
    using _names = await lockNames(this.#account);
    writeHurt(this.#hidden, record);
  }

  [Symbol.dispose](): void {
    for (const folder of [this.#scrub, this.#hidden, this.#account]) folder[Symbol.dispose]();
  }

  /** Walks all complete runs, oldest first. A run that goes meanwhile is passed over. */
  async #eachRun(walk: {
    readonly signal: AbortSignal;
    readonly path?: Buffer[];
    readonly entry: (entry: Parameters<TreeVisitor['entry']>[0], run: RunName) => void | Promise<void>;
  }): Promise<void> {
    const { signal, path, entry } = walk;
    for (const run of lookAt(this.#account).complete) {
      signal.throwIfAborted();
      using folder = this.#openRun(run) ?? null;
      if (folder === null) continue;
      const visitor: TreeVisitor = { entry: (found) => entry(found, run) };
      await walkTree(folder, visitor, path === undefined ? { signal } : { signal, path });
    }
  }

  #openRun(run: RunName): FolderHandle | undefined {
    try {
      return openFolderBeneath(this.#account, Buffer.from(run));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Undefined if it is not there, or can't be read. */
  async #hashManifest(run: RunName, signal: AbortSignal): Promise<string | undefined> {
    let fd: number;
    try {
      fd = openBeneath(this.#account, Buffer.from(manifestName(run)), {
        flags: constants.O_RDONLY | constants.O_NONBLOCK,
      });
    } catch {
      return undefined;
    }
    try {
      const facts = fstatSync(fd);
      if (!facts.isFile()) return undefined;
      const found = await hashFromDisk(fd, facts.size, { signal, goesOn: () => true });
      return found?.toString('hex');
    } finally {
      closeSync(fd);
    }
  }

  /** What was noted of files without a checksum, and a hand to note more. */
  #openNoted(): { sums: NotedSums; note: (sum: Parameters<typeof encodeNotedSum>[0]) => void } & Disposable {
    const text = readKept(this.#scrub, NOTED);
    const sums = new NotedSums(text);
    const compacted = sums.compacted((inode) => placeOf(this.#inodes, inode) >= 0);
    if (!compacted.equals(text)) replaceKept(this.#scrub, NOTED, compacted);
    let fd: number | undefined;
    let at = Math.floor(compacted.length / NOTED_RECORD_BYTES) * NOTED_RECORD_BYTES;
    return {
      sums,
      note: (sum) => {
        fd ??= openSync(
          this.#scrub.at(NOTED),
          constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
          0o600,
        );
        const record = encodeNotedSum(sum);
        writeSync(fd, record, 0, record.length, at);
        at += record.length;
      },
      [Symbol.dispose]: () => {
        if (fd !== undefined) closeSync(fd);
      },
    };
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [SLASH, part])));
}

const SLASH = Buffer.from('/');
