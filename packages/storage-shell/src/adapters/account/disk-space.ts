import type { FolderHandle } from '@bakker/linux';
import { statfsSync } from 'node:fs';
import { isCount } from '@bakker/impl-format/storage';
import { StorageError } from '../../errors.ts';
import type { SpaceRules } from '../../policy/account-policy.ts';
import { reserveBytesOf } from '../../policy/reserve.ts';
import type { SpaceFigures, SpaceGuard } from '../../ports/space-guard.ts';
import { parseObject } from '../../retain/stored-receipt.ts';
import { lockNames, lockNamesSync, tryLockNames } from './locks.ts';
import { readSmallFile, replaceFile } from './steps.ts';
import { addUsage, readUsage, writeUsage } from './usage-file.ts';

/** What the space of an account is looked after with. */
export interface DiskSpaceOptions {
  readonly account: FolderHandle;
  /** `.bakker`; undefined for a session that may not write. */
  readonly hidden: FolderHandle | undefined;
  /** Of account.yaml; asked for when it is needed first. */
  readonly rules: () => SpaceRules;
  readonly nowMs: () => number;
}

/** `.bakker/space-request.json`: what the account's server wishes, and what of it was granted up to the ceiling. */
export interface SpaceWish {
  readonly requestedBytes: number;
  readonly grantedBytes: number;
  readonly requestedAtMs: number;
}

/**
 * Space by what the file system says, and by the account's own limit. What the account takes is in `.bakker/usage.json`,
 * where sessions and removals add up what comes and goes; an account without a limit may do without.
 */
export class DiskSpace implements SpaceGuard {
  readonly #options: DiskSpaceOptions;
  /** Bytes that may be stored before the file system is asked again. */
  #allowance = 0;
  #unsaved = { bytes: 0, inodes: 0 };
  #limit: Limit | undefined;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  check(bytes: number): void {
    this.#checkLimit(bytes);
    if (bytes > this.#allowance) this.#ask(bytes);
  }

  missing(bytes: number): number {
    const limit = (this.#limit ??= this.#readLimit());
    const aboveLimit = limit.bytes === null ? 0 : limit.usedBytes + bytes - limit.bytes;
    return Math.max(0, aboveLimit, bytes - this.#look().free);
  }

  checkShared(bytes: number): void {
    this.#checkLimit(bytes);
    // What says where the blocks are takes space itself, the more the more they are scattered.
    this.check(Math.ceil(bytes / SHARED_BYTES_A_NOTED_BYTE));
  }

  usedShared(bytes: number): void {
    this.#note(bytes, 0);
  }

  /** What the volume has got back is seen when it is asked next. */
  released(bytes: number, inodes: number): void {
    this.#note(-bytes, -inodes);
  }

  #checkLimit(bytes: number): void {
    const limit = (this.#limit ??= this.#readLimit());
    if (limit.bytes !== null && limit.usedBytes + bytes > limit.bytes) {
      throw new StorageError('QUOTA', `the account's limit of ${limit.bytes} bytes is reached`, {
        hint: MORE,
      });
    }
    if (limit.bytes !== null && limit.usedInodes >= mostInodes(limit.bytes)) {
      throw new StorageError(
        'QUOTA',
        `the account's limit of ${mostInodes(limit.bytes)} files and folders is reached`,
        { hint: MORE },
      );
    }
  }

  used(bytes: number, inodes = 1): void {
    this.#allowance -= bytes;
    this.#note(bytes, inodes);
  }

  #note(bytes: number, inodes: number): void {
    this.#unsaved.bytes += bytes;
    this.#unsaved.inodes += inodes;
    if (this.#limit !== undefined) {
      this.#limit.usedBytes += bytes;
      this.#limit.usedInodes += inodes;
    }
    this.#saveSomeTime();
  }

  figures(): SpaceFigures {
    const { account } = this.#options;
    const { blocks, bavail, bsize, ffree, files } = statfsSync(account.at(ITSELF));
    const { bytes: limitBytes } = (this.#limit ??= this.#readLimit());
    return {
      totalBytes: blocks * bsize,
      freeBytes: bavail * bsize,
      // btrfs and others make inodes as they need them, and say 0 of 0.
      freeInodes: files === 0 ? null : ffree,
      limitBytes,
      usedBytes: readUsage(account)?.usedBytes ?? null,
      requestedBytes: this.#wish()?.requestedBytes ?? null,
    };
  }

  get isCounted(): boolean {
    return readUsage(this.#options.account) !== undefined;
  }

  async request(
    bytes: number,
  ): Promise<{ readonly grantedBytes: number; readonly limitBytes: number | null }> {
    const { hidden, rules, nowMs } = this.#options;
    if (hidden === undefined) throw new StorageError('DENIED', 'this session may not write');
    const { ceilingBytes, limitBytes } = rules();
    const most = limitBytes === undefined ? 0 : Math.max(limitBytes, ceilingBytes ?? 0);
    const wish: SpaceWish = {
      requestedBytes: bytes,
      grantedBytes: Math.min(bytes, most),
      requestedAtMs: nowMs(),
    };
    // Awaited: this very session may be publishing, with the lock in its hands.
    using _lock = await lockNames(this.#options.account);
    replaceFile(hidden, { folder: hidden, name: Buffer.from(WISH) }, textOf(wish));
    this.#limit = undefined;
    return { grantedBytes: wish.grantedBytes, limitBytes: this.#readLimit().bytes };
  }

  save(): void {
    const { hidden, account } = this.#options;
    if (hidden === undefined || (this.#unsaved.inodes === 0 && this.#unsaved.bytes === 0)) return;
    using _names = lockNamesSync(account);
    this.#addUnsaved(hidden);
  }

  async flush(): Promise<void> {
    const { hidden, account } = this.#options;
    if (hidden === undefined || (this.#unsaved.inodes === 0 && this.#unsaved.bytes === 0)) return;
    using _names = await lockNames(account);
    this.#addUnsaved(hidden);
  }

  /** Now and then: a session that is killed is not to be forgotten. Whoever has the lock has it for a moment. */
  #saveSomeTime(): void {
    const { hidden, account } = this.#options;
    const { bytes, inodes } = this.#unsaved;
    if (Math.abs(bytes) < MOST_UNSAVED_BYTES && Math.abs(inodes) < MOST_UNSAVED_INODES) return;
    if (hidden === undefined) return;
    using names = tryLockNames(account) ?? null;
    if (names !== null) this.#addUnsaved(hidden);
  }

  #addUnsaved(hidden: FolderHandle): void {
    addUsage({ account: this.#options.account, hidden }, this.#unsaved);
    this.#unsaved = { bytes: 0, inodes: 0 };
  }

  /** Counts the whole account if it has a limit and nobody has counted: once in its life. Later, retention does. */
  async prepare(signal: AbortSignal): Promise<void> {
    const { hidden, account, rules, nowMs } = this.#options;
    if (hidden === undefined || rules().limitBytes === undefined || readUsage(account) !== undefined) return;
    const { bytes, inodes } = await measure(account, signal);
    using _names = await lockNames(account);
    writeUsage(hidden, { usedBytes: bytes, inodes, atMs: nowMs() });
    this.#limit = undefined;
  }

  checkEnding(bytes: number): void {
    const { free, reserve } = this.#look();
    if (free + reserve - bytes < reserve / 4) throw full();
    const limit = (this.#limit ??= this.#readLimit());
    if (limit.bytes === null) return;
    const most = limit.bytes + reserve;
    if (limit.usedBytes + bytes <= most && limit.usedInodes < mostInodes(most)) return;
    throw new StorageError('QUOTA', `the account's limit of ${limit.bytes} bytes is reached`, { hint: MORE });
  }

  #ask(bytes: number): void {
    const { free, freeInodes } = this.#look();
    if (free < bytes || freeInodes < RESERVE_INODES) throw full();
    // Others store meanwhile: only a part is taken for granted, the smaller the less there is.
    this.#allowance = Math.max(bytes, Math.min(ALLOWANCE_BYTES, Math.floor(free / 8)));
  }

  /** What is free beside the reserve, which may be less than nothing. */
  #look(): { free: number; reserve: number; freeInodes: number } {
    const { account, rules } = this.#options;
    const { blocks, bavail, bsize, ffree, files } = statfsSync(account.at(ITSELF));
    const reserve = reserveBytesOf(rules(), blocks * bsize);
    return { free: bavail * bsize - reserve, reserve, freeInodes: files === 0 ? Infinity : ffree };
  }

  #readLimit(): Limit {
    const { limitBytes, ceilingBytes } = this.#options.rules();
    if (limitBytes === undefined) return { bytes: null, usedBytes: 0, usedInodes: 0 };
    // The ceiling may have been lowered since.
    const granted = Math.min(this.#wish()?.grantedBytes ?? 0, ceilingBytes ?? 0);
    const counted = readUsage(this.#options.account);
    return {
      bytes: Math.max(limitBytes, granted),
      usedBytes: (counted?.usedBytes ?? 0) + this.#unsaved.bytes,
      usedInodes: (counted?.inodes ?? 0) + this.#unsaved.inodes,
    };
  }

  #wish(): { readonly requestedBytes: number; readonly grantedBytes: number } | undefined {
    const text = readSmallFile(this.#options.account, `.bakker/${WISH}`, MAX_FILE_BYTES);
    const { requestedBytes, grantedBytes } = (text && parseObject(text.toString())) ?? {};
    if (!isCount(requestedBytes)) return undefined;
    return { requestedBytes, grantedBytes: isCount(grantedBytes) ? grantedBytes : 0 };
  }
}

interface Limit {
  readonly bytes: number | null;
  usedBytes: number;
  usedInodes: number;
}

const MORE = 'ask for more with bakker status --request-space, or have old runs removed';
/** Whoever fills his space with files of a block each meets no other limit; empty ones must not take the inodes of all. */
const BYTES_AN_INODE = 4096;
const LEAST_INODES = 1024;
const MOST_UNSAVED_BYTES = 64 * 1024 * 1024;
const MOST_UNSAVED_INODES = 4096;
const ITSELF = Buffer.from('.');
const WISH = 'space-request.json';
const MAX_FILE_BYTES = 4096;
/** A block of 4 KiB that lies apart from all others takes about 32 bytes of notes; seldom one in four does. */
const SHARED_BYTES_A_NOTED_BYTE = 512;
const ALLOWANCE_BYTES = 8 * 1024 * 1024;
/** For the folders and small files of a publish. */
const RESERVE_INODES = 64;

function mostInodes(limitBytes: number): number {
  return Math.max(LEAST_INODES, Math.floor(limitBytes / BYTES_AN_INODE));
}

function full(): StorageError {
  return new StorageError('FULL', 'the file system is full but for the reserve that publishing needs', {
    hint: 'have old runs removed, or the volume enlarged',
  });
}

function textOf(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** Loaded only where it is needed; apart, because the compiler leaves an import beside `using` as it is written. */
async function measure(
  account: FolderHandle,
  signal: AbortSignal,
): Promise<{ bytes: number; inodes: number }> {
  const { countAll } = await import('../runs/recount.ts');
  return countAll(account, signal);
}
