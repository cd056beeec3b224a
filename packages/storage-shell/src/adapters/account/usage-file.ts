import { openAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { closeSync, constants, ftruncateSync } from 'node:fs';
import { isCount } from '@bakker/impl-format/storage';
import { parseObject } from '../../retain/stored-receipt.ts';
import { readSmallFile, writeAll } from './steps.ts';

/** `.bakker/usage.json`: what the account takes, so that nobody has to count a whole account to know. */
export interface CountedUsage {
  /** Allocated blocks. */
  readonly usedBytes: number;
  readonly inodes: number;
  /** When all was counted last. */
  readonly atMs: number;
}

/** Undefined if nobody counted, or the count was cut off. @throws errno errors */
export function readUsage(account: FolderHandle): CountedUsage | undefined {
  const text = readSmallFile(account, `.bakker/${NAME}`, FILE_BYTES);
  const { usedBytes, inodes, at } = (text && parseObject(text.toString())) ?? {};
  if (!isCount(usedBytes) || !isCount(inodes) || !isCount(at)) return undefined;
  return { usedBytes, inodes, atMs: at };
}

/**
 * Writes the count in place: always of one length, so that it needs no room on a full volume. Under the lock of names.
 *
 * @param hidden - `.bakker`
 * @throws errno errors
 */
export function writeUsage(hidden: FolderHandle, { usedBytes, inodes, atMs }: CountedUsage): void {
  const text = JSON.stringify({ usedBytes, inodes, at: atMs });
  const flags = constants.O_RDWR | constants.O_CREAT;
  const fd = openAt({ folder: hidden, name: Buffer.from(NAME) }, { flags, mode: 0o600 });
  try {
    // One sector: a death leaves the old count, or the new one.
    writeAll(fd, Buffer.from(`${text.padEnd(FILE_BYTES - 1)}\n`), 0);
    ftruncateSync(fd, FILE_BYTES);
  } finally {
    closeSync(fd);
  }
}

/** Adds what was stored or went, if somebody counts. Under the lock of names. @throws errno errors */
export function addUsage(
  { account, hidden }: { readonly account: FolderHandle; readonly hidden: FolderHandle },
  change: { readonly bytes: number; readonly inodes: number },
): void {
  const counted = readUsage(account);
  if (counted === undefined) return;
  writeUsage(hidden, {
    usedBytes: Math.max(0, counted.usedBytes + change.bytes),
    inodes: Math.max(0, counted.inodes + change.inodes),
    atMs: counted.atMs,
  });
}

const NAME = 'usage.json';
const FILE_BYTES = 256;
