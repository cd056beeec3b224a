import type { AclEntry, Entry, EntryType, ManifestHeader } from './entry.ts';
import { FormatProblem } from './errors.ts';
import { isCount, MAX_UINT32 } from './json-checks.ts';
import { checkPath, comparePaths, isBelow } from './path-order.ts';

export const ENTRY_TYPES: readonly EntryType[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'char',
  'block',
];
export const ACL_TAGS: readonly AclEntry['tag'][] = [
  'user-obj',
  'user',
  'group-obj',
  'group',
  'mask',
  'other',
];

const MAX_MODE = 0o7777;
const MAX_TARGET_BYTES = 4096;
/** XATTR_NAME_MAX and XATTR_SIZE_MAX of xattr(7). */
const MAX_XATTR_NAME_BYTES = 255;
const MAX_XATTR_VALUE_BYTES = 65_536;
const SHA256_BYTES = 32;
const NAME_ID_BYTES = 16;
const ERRNO_NAME = /^[A-Z][A-Z0-9_]{0,31}$/;

/** What a manifest's header says that its entries have to fit. */
export interface EntryFrame {
  readonly filesystemCount: number;
  readonly isSealed: boolean;
  readonly hidesNames: boolean;
}

export function entryFrame({ filesystems, recipients, nameKey }: ManifestHeader): EntryFrame {
  return {
    filesystemCount: filesystems.length,
    isSealed: recipients !== undefined,
    hidesNames: nameKey !== undefined,
  };
}

/**
 * What must hold of an entry by itself, for the writer and the reader alike.
 * @throws FormatProblem HOSTILE for a path that leaves its place, MALFORMED for anything else
 */
export function checkEntry(entry: Entry, { filesystemCount, isSealed, hidesNames }: EntryFrame): void {
  const hostile = checkPath(entry.path);
  if (hostile !== undefined) throw new FormatProblem('HOSTILE', hostile);
  const { type, sizeBytes, mode, uid, gid, linkCount, filesystem } = entry;
  if (!isCount(sizeBytes, Number.MAX_SAFE_INTEGER)) refuse('the size is out of range');
  if (type !== 'file' && sizeBytes !== 0) refuse(`a ${type} has a size`);
  if (!isCount(mode, MAX_MODE)) refuse('the mode is out of range');
  if (!isCount(uid, MAX_UINT32)) refuse('uid is out of range');
  if (!isCount(gid, MAX_UINT32)) refuse('gid is out of range');
  if (!isCount(linkCount, MAX_UINT32)) refuse('the number of links is out of range');
  if (!(isCount(filesystem, MAX_UINT32) && filesystem < filesystemCount)) {
    refuse('fs is none of the file systems in the header');
  }
  if (entry.sha256 !== undefined) {
    if (type !== 'file') refuse(`a ${type} has a sha256`);
    if (entry.sha256.length !== SHA256_BYTES) refuse('sha256 is not 32 bytes long');
  }
  if (
    type !== 'file' ||
    entry.extents !== undefined ||
    entry.device !== undefined ||
    entry.target !== undefined
  ) {
    checkTypeDetails(entry);
  }
  if (entry.acl !== undefined) checkAcl(entry);
  if (entry.xattrs !== undefined) checkXattrs(entry.xattrs);
  if (entry.stored.kind === 'elsewhere') {
    const reason = checkPath(entry.stored.at);
    if (reason !== undefined) throw new FormatProblem('HOSTILE', `stored: ${reason}`);
  }
  if (isSealed || entry.sealedBytes !== undefined) checkSealed(entry, isSealed);
  if (hidesNames || entry.nameId !== undefined) checkNameId(entry, hidesNames);
  if (entry.unreadable !== undefined && !ERRNO_NAME.test(entry.unreadable)) {
    refuse('unreadable is not the name of an error');
  }
}

/** What the order of entries is about. */
export type PlaceInOrder = Pick<Entry, 'path' | 'type'>;

/**
 * What must hold between an entry and the one before it.
 * @throws FormatProblem UNSORTED for a path that is not after the one before; HOSTILE for one below something that is
 * no folder
 */
export function checkOrder(entry: PlaceInOrder, previous: PlaceInOrder): void {
  const order = comparePaths(previous.path, entry.path);
  if (order === 0) throw new FormatProblem('UNSORTED', 'the path is there twice');
  if (order > 0) throw new FormatProblem('UNSORTED', 'the path should come before the one before it');
  // What is below a path comes directly after it, so looking at one entry is enough.
  if (previous.type !== 'directory' && isBelow(entry.path, previous.path)) {
    throw new FormatProblem('HOSTILE', `the path lies below a ${previous.type}`);
  }
}

function checkTypeDetails({ type, device, target, extents, sizeBytes, unreadable }: Entry): void {
  const isDevice = type === 'char' || type === 'block';
  if (isDevice && device === undefined) refuse(`a ${type} has no device number`);
  if (!isDevice && device !== undefined) refuse(`a ${type} has a device number`);
  if (device !== undefined && !(isCount(device.major, MAX_UINT32) && isCount(device.minor, MAX_UINT32))) {
    refuse('rdev is out of range');
  }
  if (type === 'symlink') {
    if (target === undefined && unreadable === undefined) refuse('a symlink has no target');
  } else if (target !== undefined) refuse(`a ${type} has a target`);
  if (
    target !== undefined &&
    (target.length === 0 || target.length > MAX_TARGET_BYTES || target.includes(0))
  ) {
    refuse('the target of the symlink is not one that Linux allows');
  }
  if (extents === undefined) return;
  if (type !== 'file') refuse(`a ${type} has extents`);
  let end = -1;
  for (const { offsetBytes, lengthBytes } of extents) {
    if (!isCount(offsetBytes, sizeBytes) || !isCount(lengthBytes, sizeBytes) || lengthBytes === 0) {
      refuse('an extent is out of range');
    }
    if (offsetBytes <= end) refuse('the extents are not in order, or touch');
    end = offsetBytes + lengthBytes;
    if (end > sizeBytes) refuse('an extent ends after the file');
  }
}

function checkSealed({ type, stored, sealedBytes }: Entry, isSealed: boolean): void {
  if (isSealed && type === 'symlink' && stored.kind !== 'manifest') {
    refuse('a symlink of a sealed run lies on the storage, where its target could be read');
  }
  const isStoredFile = type === 'file' && stored.kind !== 'manifest';
  if (isSealed && isStoredFile && sealedBytes === undefined) refuse('a file of a sealed run is not sealed');
  if (sealedBytes === undefined) return;
  if (!isSealed || !isStoredFile) refuse('something is sealed that can not be');
  if (!isCount(sealedBytes, Number.MAX_SAFE_INTEGER)) refuse('the sealed size is out of range');
}

function checkNameId({ type, nameId }: Entry, hidesNames: boolean): void {
  const hasOne = hidesNames && type === 'directory';
  if (hasOne !== (nameId !== undefined)) refuse(`a ${type} ${hasOne ? 'lacks its' : 'has a'} nameId`);
  if (nameId === undefined) return;
  if (nameId.length !== NAME_ID_BYTES) refuse('nameId is not 16 bytes long');
  if (nameId.every((byte) => byte === 0)) refuse('nameId is that of the root');
}

function checkAcl({ acl, type }: Entry): void {
  if (acl?.default !== undefined && type !== 'directory') refuse(`a ${type} has a default ACL`);
  for (const entry of [...(acl?.access ?? []), ...(acl?.default ?? [])]) {
    const named = entry.tag === 'user' || entry.tag === 'group';
    if (!ACL_TAGS.includes(entry.tag)) refuse('an ACL entry has an unknown tag');
    if (!isCount(entry.perms, 7)) refuse('the perms of an ACL entry are out of range');
    if (named !== (entry.id !== undefined))
      refuse(`an ACL entry ${entry.tag} ${named ? 'lacks its' : 'has an'} id`);
    if (entry.id !== undefined && !isCount(entry.id, MAX_UINT32))
      refuse('the id of an ACL entry is out of range');
    if (!named && entry.name !== undefined) refuse(`an ACL entry ${entry.tag} has a name`);
    if (entry.name?.isWellFormed() === false) refuse('the name in an ACL entry has a lone surrogate');
  }
}

function checkXattrs(xattrs: NonNullable<Entry['xattrs']>): void {
  let previous: Buffer | undefined;
  for (const { name, value } of xattrs) {
    if (name.length === 0 || name.length > MAX_XATTR_NAME_BYTES || name.includes(0)) {
      refuse('the name of an extended attribute is not one that Linux allows');
    }
    if (value.length > MAX_XATTR_VALUE_BYTES)
      refuse('the value of an extended attribute is longer than Linux allows');
    if (previous !== undefined && previous.compare(name) >= 0)
      refuse('the extended attributes are not in order');
    previous = name;
  }
}

function refuse(reason: string): never {
  throw new FormatProblem('MALFORMED', reason);
}
