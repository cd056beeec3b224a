import type { BigIntStats } from 'node:fs';
import type { EntryType } from '@bakker/impl-format';
import type { TargetItem } from '../../ports/restore-target.ts';
import { splitDevice } from '@bakker/linux';

/** What a stat says, in our words. */
export function itemOf(stats: BigIntStats): TargetItem {
  const type = typeOf(stats);
  return {
    type,
    sizeBytes: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
    linkCount: Number(stats.nlink),
    filesystem: stats.dev,
    inode: stats.ino,
    ...(type === 'char' || type === 'block' ? { device: splitDevice(stats.rdev) } : {}),
  };
}

function typeOf(stats: BigIntStats): EntryType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  return stats.isCharacterDevice() ? 'char' : 'block';
}
