import type { Acl, AclEntry, Entry, Xattr } from '@bakker/impl-format';

const SETUID_SETGID = 0o6000;
const CAPABILITY = Buffer.from('security.capability');

/**
 * How a path differs from the parent run:
 * `same` nothing does · `metadata` only what the manifest says · `content` its content surely does, or its type ·
 * `look` the times can't tell, the content must be read.
 */
export type Difference = 'same' | 'metadata' | 'content' | 'look';

/**
 * Compares a scanned entry with the parent's. Pure.
 *
 * A file is the same if size, mtime, ctime and inode are, and it had been at rest when it was read. A ctime that moved alone
 * is trusted when some metadata explains it (chmod, chown, a new link); if nothing does, somebody may have written and
 * set the mtime back, and the content is read. So it is if the inode was made since: it is another file that got the number. And if it lost privileges: the kernel takes them from
 * what is written to. Names of owners explain nothing: who is called otherwise moves no ctime. Nor does any metadata where
 * runs lie between, which may have read other content: of several changes since, one explains its own.
 */
export function compareEntries(
  now: Entry,
  before: Entry,
  { isOlder }: { readonly isOlder: boolean },
): Difference {
  if (now.type !== before.type) return 'content';
  if (now.type !== 'file') return compareSpecial(now, before);
  if (now.sizeBytes !== before.sizeBytes) return 'content';
  if (before.sha256 === undefined || before.unreadable !== undefined) return 'content';
  if (now.mtimeNs !== before.mtimeNs || now.inode !== before.inode || before.unsettled) return 'look';
  if (now.ctimeNs === before.ctimeNs) return 'same';
  const isAnother = now.bornNs !== undefined && now.bornNs > before.ctimeNs;
  const isExplained = !isAnother && !isOlder && !hasLostPrivileges(now, before) && !isInodeEqual(now, before);
  return isExplained ? 'metadata' : 'look';
}

function hasLostPrivileges(now: Entry, before: Entry): boolean {
  return (before.mode & ~now.mode & SETUID_SETGID) !== 0 || (hasCapability(before) && !hasCapability(now));
}

function hasCapability({ xattrs = [] }: Entry): boolean {
  return xattrs.some(({ name }) => name.equals(CAPABILITY));
}

/** Whether everything that the manifest says beside content, ctime and inode is equal. */
export function isMetadataEqual(a: Entry, b: Entry): boolean {
  return a.user === b.user && a.group === b.group && isInodeEqual(a, b) && areAclNamesEqual(a.acl, b.acl);
}

/** The same of what the inode itself holds: numbers of users and groups, and no names. */
function isInodeEqual(a: Entry, b: Entry): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtimeNs === b.mtimeNs &&
    (a.type === 'directory' || a.linkCount === b.linkCount) &&
    isAclEqual(a.acl, b.acl) &&
    isXattrsEqual(a.xattrs, b.xattrs)
  );
}

function compareSpecial(now: Entry, before: Entry): Difference {
  if (now.type === 'symlink' && !(now.target && before.target?.equals(now.target))) return 'content';
  if (now.device?.major !== before.device?.major || now.device?.minor !== before.device?.minor)
    return 'content';
  return isMetadataEqual(now, before) ? 'same' : 'metadata';
}

function isXattrsEqual(a: readonly Xattr[] = [], b: readonly Xattr[] = []): boolean {
  return (
    a.length === b.length &&
    a.every((xattr, index) => {
      const other = b[index];
      return other !== undefined && xattr.name.equals(other.name) && xattr.value.equals(other.value);
    })
  );
}

function isAclEqual(a: Acl = {}, b: Acl = {}): boolean {
  return isAclListEqual(a.access, b.access) && isAclListEqual(a.default, b.default);
}

function isAclListEqual(a: readonly AclEntry[] = [], b: readonly AclEntry[] = []): boolean {
  return (
    a.length === b.length &&
    a.every((line, index) => {
      const other = b[index];
      return other?.tag === line.tag && other.perms === line.perms && other.id === line.id;
    })
  );
}

/** Of ACLs that are equal but for names. */
function areAclNamesEqual(a: Acl = {}, b: Acl = {}): boolean {
  const areEqual = (some: readonly AclEntry[] = [], others: readonly AclEntry[] = []) =>
    some.every(({ name }, index) => name === others[index]?.name);
  return areEqual(a.access, b.access) && areEqual(a.default, b.default);
}
