import { linkCountOf } from '@bakker/sftp';
import type { Attributes, DirectoryItem } from '@bakker/sftp';
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

/** Whether a server told what something is, and a file's size: version 3 leaves it free to say neither. */
export function isTold({ permissions, sizeBytes }: Attributes): boolean {
  const hasType = ((permissions ?? 0) & TYPE_BITS) !== 0;
  return hasType && (sizeBytes !== undefined || typeOf(permissions) !== 'file');
}

const TYPE_BITS = 0o170000;

/** @param permissions - with the type in the upper bits, as in `st_mode` */
export function typeOf(permissions: number | undefined): StoredItem['type'] {
  switch ((permissions ?? 0) & TYPE_BITS) {
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
