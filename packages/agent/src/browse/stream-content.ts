import type { Entry, RunName } from '@bakker/impl-format';
import { ContentHash } from '../backup/content-hash.ts';
import { storedPath } from '../backup/stored-place.ts';
import { AgentError } from '../errors.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import { pathText } from './path-text.ts';
import { damageOf, dataExtents, DIFFERENT } from './stored-content.ts';

/**
 * A file's exact content, holes as zeros, handed on piece by piece, then checked.
 *
 * @throws AgentError VERIFY_DAMAGED after the last piece if it was not what was backed up; PATH_NOT_FOUND for what is no
 * file; SOME_UNREADABLE if the run does not have its content
 */
export async function streamContent(
  account: StorageAccount,
  options: {
    readonly run: RunName;
    readonly entry: Entry;
    readonly write: (bytes: Uint8Array) => Promise<void>;
  },
): Promise<void> {
  const { run, entry, write } = options;
  const path = storedPath(entry);
  refuseWithoutContent(entry);
  const sum = new ContentHash();
  let positionBytes = 0;
  const zerosUpTo = async (offsetBytes: number) => {
    for (; positionBytes < offsetBytes; positionBytes += Math.min(ZEROS.length, offsetBytes - positionBytes))
      await write(ZEROS.subarray(0, Math.min(ZEROS.length, offsetBytes - positionBytes)));
  };
  const extents = dataExtents(entry);
  const { sizeBytes } = entry;
  const pieces =
    path === undefined || extents.length === 0 ? [] : account.readExtents(run, path, { extents, sizeBytes });
  for await (const { offsetBytes, bytes } of withDamage(pieces, entry)) {
    await zerosUpTo(offsetBytes);
    sum.update(offsetBytes, bytes);
    await write(bytes);
    positionBytes += bytes.length;
  }
  const digest = sum.finish(entry.sizeBytes);
  if (entry.sha256?.equals(digest) !== true) throw damaged(entry, DIFFERENT);
  await zerosUpTo(entry.sizeBytes);
}

const ZEROS = Buffer.alloc(1024 * 1024);

function refuseWithoutContent({ path, type, target, unreadable }: Entry): void {
  const shown = pathText(path);
  if (type !== 'file') {
    const what = target === undefined ? `a ${type}` : `a symlink to ${pathText(target).slice(1)}`;
    throw new AgentError('PATH_NOT_FOUND', `${shown} is no file but ${what}`, {
      hint: 'only files have content',
    });
  }
  if (unreadable === undefined) return;
  throw new AgentError('SOME_UNREADABLE', `the backup could not read ${shown} (${unreadable})`, {
    hint: `see which runs have it: bakker history ${shown}`,
  });
}

/** Failures of the storage that are about this file alone, as damage. */
async function* withDamage<Piece>(
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
  entry: Entry,
): AsyncGenerator<Piece> {
  try {
    yield* pieces;
  } catch (error) {
    throw damaged(entry, damageOf(error));
  }
}

function damaged({ path }: Entry, reason: string): AgentError {
  return new AgentError('VERIFY_DAMAGED', `${pathText(path)}: ${reason}`, {
    hint: 'do not use what was written; other runs may have it sound: bakker history',
  });
}
