import { linkCountOf } from '@bakker/sftp';
import type { DirectoryItem } from '@bakker/sftp';
import type { StoredItem } from '../../ports/storage-account.ts';

/** One name of a listing, as SFTP tells it. */
export function toStoredItem(item: DirectoryItem): StoredItem {
  return {
    name: item.name,
    type: typeOf(item.attributes.permissions),
    sizeBytes: item.attributes.sizeBytes ?? 0,
    linkCount: linkCountOf(item.longName),
    inode: undefined,
  };
}

/** @param permissions - with the type in the upper bits, as in `st_mode` */
export function typeOf(permissions: number | undefined): StoredItem['type'] {
  switch ((permissions ?? 0) & 0o170000) {
    case 0o100000:
      return 'file';
    case 0o040000:
      return 'directory';
    case 0o120000:
      return 'symlink';
    default:
      return 'other';
  }
}
