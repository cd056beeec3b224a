import { hasCode, makeFolderAt, openAt, openFolderBeneath, renameOverAt, unlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { closeSync, constants, fstatSync, fsyncSync, writeSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { CheckTimes } from '../../ports/stored-content.ts';
import { encodeCheck, mergeChecked } from '../../scrub/check-records.ts';
import { readFully, writeAll } from '../account/steps.ts';

/** `.bakker/scrub`, made if it is not there. @param hidden - `.bakker` @throws LibcError */
export function openScrubFolder(hidden: FolderHandle): FolderHandle {
  makeFolderAt({ folder: hidden, name: SCRUB }, 0o700);
  return openFolderBeneath(hidden, SCRUB);
}

/** All of a file that a scrub keeps; empty if it is not there. @throws errno errors */
export function readKept(scrub: FolderHandle, name: Buffer): Buffer {
  let fd: number;
  try {
    // A pipe of that name must not hold this scrub, and those of all other accounts behind it.
    fd = openAt({ folder: scrub, name }, { flags: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
  try {
    const text = Buffer.alloc(fstatSync(fd).size);
    return text.subarray(0, readFully(fd, text, 0));
  } finally {
    closeSync(fd);
  }
}

/** Replaces such a file in one step. @throws StorageError FULL */
export function replaceKept(scrub: FolderHandle, name: Buffer, text: Buffer): void {
  const beside = { folder: scrub, name: Buffer.concat([name, Buffer.from('.new')]) };
  try {
    const fd = openAt(beside, {
      flags: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
      mode: 0o600,
    });
    try {
      writeAll(fd, text, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameOverAt(beside, { folder: scrub, name });
  } catch (error) {
    unlinkAt(beside);
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
    throw new StorageError('FULL', 'there is no room to note which files were checked', {
      hint: `${text.length} bytes are needed; bakker-storage grow gives the account more room`,
      cause: error,
    });
  }
}

/** Opens `.bakker/scrub/checked` for these inodes. @throws StorageError FULL */
export function openCheckTimes(scrub: FolderHandle, inodes: Float64Array): CheckTimes {
  const older = readKept(scrub, CHECKED);
  const { text, checkedAtS, givenUp } = mergeChecked(inodes, older);
  if (!text.equals(older)) replaceKept(scrub, CHECKED, text);
  const fd = openAt(
    { folder: scrub, name: CHECKED },
    { flags: constants.O_RDWR | constants.O_CREAT, mode: 0o600 },
  );
  return {
    inodes,
    checkedAtS,
    givenUp,
    set(place, timeS, { isGivenUp } = { isGivenUp: false }) {
      checkedAtS[place] = timeS;
      if (isGivenUp) givenUp.add(place);
      else givenUp.delete(place);
      const { bytes, offsetBytes } = encodeCheck(place, { timeS, isGivenUp });
      // Eight bytes within a sector: there is no half of them.
      writeSync(fd, bytes, 0, bytes.length, offsetBytes);
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

const SCRUB = Buffer.from('scrub');
const CHECKED = Buffer.from('checked');
