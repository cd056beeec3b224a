import { baseName, parentPath } from '@bakker/impl-format/storage';
import { BLOCK_UNIT_BYTES, hasCode, openBeneath, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { closeSync, constants, fstatSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { Trust } from '../tree/link-maker.ts';
import { isStoredWhole } from '../tree/stored-whole.ts';

export interface SourceRules {
  /** How far the files of the folder can be trusted. */
  readonly trust: Trust;
  readonly hurtInodes: ReadonlySet<bigint>;
  /** Throws when nobody waits any more. */
  readonly check: () => void;
}

/** A stored file that is to be copied; open for reading, and nothing else. */
export interface OpenSource extends Disposable {
  readonly fd: number;
  readonly sizeBytes: number;
  /** On the disk. */
  readonly allocatedBytes: number;
}

/**
 * Opens a stored file of which all that lies there is known to be what was stored. No symlink is followed.
 *
 * @throws StorageError NOT_FOUND; errno errors
 */
export async function openSource(
  folder: FolderHandle,
  path: Buffer,
  { trust, hurtInodes, check }: SourceRules,
): Promise<OpenSource> {
  using stack = new DisposableStack();
  const fd = open(folder, path);
  stack.defer(() => closeSync(fd));
  const stat = fstatSync(fd, { bigint: true });
  if (!stat.isFile()) throw new StorageError('NOT_FOUND', 'it is no file');
  if (hurtInodes.has(stat.ino)) throw new StorageError('NOT_FOUND', 'its stored bytes are damaged');
  if (trust !== 'complete' && (stat.mode & WRITABLE) !== 0n) {
    throw new StorageError('NOT_FOUND', 'it was not stored to its end');
  }
  if (trust === 'doubtful') {
    using parent = openFolderBeneath(folder, parentPath(path));
    const isWhole = await isStoredWhole({ folder: parent, name: baseName(path) }, check);
    if (!isWhole) throw new StorageError('NOT_FOUND', 'it is not known to be whole');
  }
  const source = stack.move();
  return {
    fd,
    sizeBytes: Number(stat.size),
    allocatedBytes: Number(stat.blocks) * BLOCK_UNIT_BYTES,
    [Symbol.dispose]: () => source.dispose(),
  };
}

const WRITABLE = 0o222n;

function open(folder: FolderHandle, path: Buffer): number {
  try {
    // Should a fifo lie there, nobody waits for its writer.
    return openBeneath(folder, path, { flags: constants.O_RDONLY | constants.O_NONBLOCK });
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'ENXIO')) throw error;
    throw new StorageError('NOT_FOUND', 'nothing is there that can be copied', { cause: error });
  }
}
