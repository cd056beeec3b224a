import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import { hasCode, LibcError, renameNoReplace } from '@bakker/linux';

const PREFIX = '.bakker-restore-';
const SHAPE = /^\.bakker-restore-[0-9a-f]{16}$/;
const EINVAL = 22;
const SLASH = 0x2f;
const DOT = 0x2e;

/** What a file is called until it is whole. */
export function temporaryName(): Buffer {
  return Buffer.from(PREFIX + randomBytes(8).toString('hex'));
}

/** Whether an interrupted restore left this behind. */
export function isTemporaryName(name: Buffer): boolean {
  return name.length === PREFIX.length + 16 && SHAPE.test(name.toString('latin1'));
}

/** The last guard: whatever a manifest says, only one component ever reaches a system call. @throws LibcError EINVAL */
export function checkName(name: Buffer): void {
  const isDots = name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
  if (name.length === 0 || isDots || name.includes(SLASH) || name.includes(0))
    throw new LibcError('a name that is no single component', EINVAL, name);
}

/**
 * Gives what was made beside its name that name. Where the file system does not know a rename that replaces nothing (FAT, some
 * network shares), by the one that it has.
 *
 * @param replaces - whether something may have the name
 * @throws the errno error; EEXIST if something has it that may not
 */
export function giveName(from: Buffer, to: Buffer, replaces: boolean): void {
  if (replaces) {
    renameSync(from, to);
    return;
  }
  try {
    renameNoReplace(from, to);
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOSYS')) throw error;
    renameSync(from, to);
  }
}
