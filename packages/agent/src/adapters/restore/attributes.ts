import { chmodSync, chownSync, closeSync, constants, fchmodSync, fchownSync, openSync } from 'node:fs';
import type { Attributes, Refusal, TargetItem } from '../../ports/restore-target.ts';
import {
  errnoOf,
  getXattr,
  hasCode,
  listXattrs,
  listXattrsOf,
  listXattrsThrough,
  O_PATH,
  removeXattrOf,
  removeXattrThrough,
  setMtimeOf,
  setMtimeThrough,
  setXattrOf,
  setXattrThrough,
} from '@bakker/linux';
import { encodeAcl } from '../../source/posix-acl.ts';
import { checkSame, type LookedAt } from './check-same.ts';

export const ACCESS_ACL = 'system.posix_acl_access';
export const DEFAULT_ACL = 'system.posix_acl_default';

/** What attributes are set on, and what is known of it already. */
export interface Subject extends LookedAt {
  /** Reaches it through an open folder; its last component is not followed. */
  readonly path: Buffer;
  /** When it is open: then all is set on that, whatever somebody gave its name to meanwhile. */
  readonly fd?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mode?: number | undefined;
  /** Whether it may carry extended attributes or ACLs that nobody asked for. */
  readonly mayCarryMore: boolean;
}

/**
 * Sets everything, in the order that keeps it: chown clears setuid and capabilities, so it comes first; user attributes
 * need write permission, so they come before the mode; the ACL's mask is the mode's group bits; the time comes last. What is not
 * open is pinned, so that all is set on one thing, though somebody moves another's to its name meanwhile.
 *
 * @throws LibcError ESTALE if it is not what was found there, or made
 */
export function setAttributes(subject: Subject, wanted: Attributes): Refusal[] {
  if (subject.fd !== undefined) return setAll(subject, wanted);
  const pinned = pin(subject.path);
  try {
    checkSame(pinned, subject.path, subject);
    return setAll({ ...subject, path: Buffer.from(`/proc/self/fd/${pinned}`) }, wanted);
  } finally {
    closeSync(pinned);
  }
}

/** @param subject - its path, if it is not open, leads to what is pinned */
function setAll(subject: Subject, wanted: Attributes): Refusal[] {
  const refusals: Refusal[] = [];
  const ownerCode = setOwner(subject, wanted);
  if (ownerCode !== undefined) refusals.push({ what: 'owner', code: ownerCode });
  setXattrs(subject, wanted, refusals);
  if (subject.type !== 'symlink') {
    setMode(subject, { wanted, isOwned: ownerCode === undefined }, refusals);
    setAcls(subject, wanted, refusals);
  }
  tolerate('time', refusals, () => {
    if (subject.fd === undefined) setMtimeThrough(subject.path, wanted.mtimeNs);
    else setMtimeOf(subject.fd, wanted.mtimeNs);
  });
  return refusals;
}

/** Whether what is at `path` has exactly these attributes. */
export function hasAttributes(path: Buffer, item: TargetItem, wanted: Attributes): boolean {
  if (item.uid !== wanted.uid || item.gid !== wanted.gid || item.mtimeNs !== wanted.mtimeNs) return false;
  if (item.type !== 'symlink' && item.mode !== wanted.mode) return false;
  const names = namesOf(() => listXattrs(path));
  const expected: { name: string; value: Buffer }[] = wanted.xattrs.map(({ name, value }) => ({
    name: name.toString('latin1'),
    value,
  }));
  if (wanted.acl?.access !== undefined)
    expected.push({ name: ACCESS_ACL, value: encodeAcl(wanted.acl.access) });
  if (wanted.acl?.default !== undefined)
    expected.push({ name: DEFAULT_ACL, value: encodeAcl(wanted.acl.default) });
  const present = new Set(names.map((name) => name.toString('latin1')));
  for (const { name, value } of expected) {
    if (!present.delete(name)) return false;
    if (getXattr(path, Buffer.from(name, 'latin1'))?.equals(value) !== true) return false;
  }
  for (const name of present) if (isRemovable(name)) return false;
  return true;
}

/** Runs `set`; a failure that means "not allowed" or "not here" becomes a refusal, any other is thrown. */
function tolerate(what: Refusal['what'], refusals: Refusal[], set: () => void): void {
  try {
    set();
  } catch (error) {
    refusals.push({ what, code: refusedCode(error) });
  }
}

/** ENOSPC, E2BIG and ERANGE: the attribute is larger than this file system keeps. */
const REFUSED = [
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EINVAL',
  'ENOSYS',
  'ENOSPC',
  'E2BIG',
  'ERANGE',
  'EDQUOT',
];

function refusedCode(error: unknown): string {
  if (!hasCode(error, ...REFUSED)) throw error;
  return errnoOf(error) ?? 'EPERM';
}

function setOwner({ path, fd, uid, gid }: Subject, wanted: Attributes): string | undefined {
  if (uid === wanted.uid && gid === wanted.gid) return undefined;
  const chown = (toUid: number, toGid: number) => {
    if (fd === undefined) chownSync(path, toUid, toGid);
    else fchownSync(fd, toUid, toGid);
  };
  try {
    chown(wanted.uid, wanted.gid);
    return undefined;
  } catch (error) {
    const code = refusedCode(error);
    try {
      chown(UNCHANGED, wanted.gid); // a user may give a file to another group of his
    } catch (groupError) {
      refusedCode(groupError);
    }
    return code;
  }
}

const UNCHANGED = -1;

function setXattrs(subject: Subject, { xattrs }: Attributes, refusals: Refusal[]): void {
  if (xattrs.length === 0 && !subject.mayCarryMore) return;
  if (subject.mayCarryMore) {
    const wanted = new Set(xattrs.map(({ name }) => name.toString('latin1')));
    for (const name of xattrNames(subject)) {
      const text = name.toString('latin1');
      if (text === ACCESS_ACL || text === DEFAULT_ACL || wanted.has(text) || !isRemovable(text)) continue;
      tolerate('extended attribute', refusals, () => {
        removeFrom(subject, name);
      });
    }
  }
  for (const xattr of xattrs) {
    const what = xattr.name.equals(CAPABILITY) ? 'capability' : 'extended attribute';
    tolerate(what, refusals, () => {
      setOn(subject, xattr);
    });
  }
}

const CAPABILITY = Buffer.from('security.capability');

/** Labels of a security module are the machine's own where the run has none. */
function isRemovable(name: string): boolean {
  return (
    name.startsWith('user.') || name.startsWith('trusted.') || name === 'security.capability' || isAcl(name)
  );
}

function isAcl(name: string): boolean {
  return name === ACCESS_ACL || name === DEFAULT_ACL;
}

type Place = Pick<Subject, 'path' | 'fd'>;

function setOn({ path, fd }: Place, xattr: { name: Uint8Array | string; value: Buffer }): void {
  if (fd === undefined) setXattrThrough(path, xattr);
  else setXattrOf(fd, xattr);
}

function removeFrom({ path, fd }: Place, name: Uint8Array | string): void {
  if (fd === undefined) removeXattrThrough(path, name);
  else removeXattrOf(fd, name);
}

function xattrNames({ path, fd }: Place): Buffer[] {
  return namesOf(() => (fd === undefined ? listXattrsThrough(path) : listXattrsOf(fd)));
}

/** None where the file system has none. */
function namesOf(list: () => Buffer[]): Buffer[] {
  try {
    return list();
  } catch (error) {
    if (hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) return [];
    throw error;
  }
}

/** A setuid bit for another owner than the recorded one would give away the wrong rights: it is left out then. */
function setMode(
  subject: Subject,
  { wanted, isOwned }: { wanted: Attributes; isOwned: boolean },
  refusals: Refusal[],
): void {
  const special = wanted.mode & SETUID_SETGID;
  const mode = isOwned ? wanted.mode : wanted.mode & ~SETUID_SETGID;
  if (!isOwned && special !== 0) refusals.push({ what: 'setuid bits', code: 'EPERM' });
  const isChowned = subject.uid !== wanted.uid || subject.gid !== wanted.gid;
  if (subject.mode === mode && !(special !== 0 && isChowned)) return;
  tolerate('mode', refusals, () => {
    if (subject.fd === undefined) chmodSync(subject.path, mode);
    else fchmodSync(subject.fd, mode);
  });
}

const SETUID_SETGID = 0o6000;

/** Linux has no chmod that leaves symlinks alone: the name is pinned by a descriptor first. */
export function chmodNoFollow({ path, fd }: Place, mode: number): void {
  if (fd !== undefined) {
    fchmodSync(fd, mode);
    return;
  }
  const pinned = pin(path);
  try {
    chmodSync(`/proc/self/fd/${pinned}`, mode);
  } finally {
    closeSync(pinned);
  }
}

/** A descriptor for the very thing that has the name, without opening it: no symlink followed, no fifo waited for. */
export function pin(path: Buffer): number {
  return openSync(path, O_PATH | constants.O_NOFOLLOW);
}

function setAcls(subject: Subject, { acl }: Attributes, refusals: Refusal[]): void {
  const kinds = [
    { name: ACCESS_ACL, entries: acl?.access },
    { name: DEFAULT_ACL, entries: acl?.default },
  ];
  for (const { name, entries } of kinds) {
    if (
      entries === undefined &&
      (!subject.mayCarryMore || (name === DEFAULT_ACL && subject.type !== 'directory'))
    )
      continue;
    tolerate('ACL', refusals, () => {
      if (entries !== undefined) setOn(subject, { name, value: encodeAcl(entries) });
      else removeAcl(subject, name);
    });
  }
}

/** Where there are no ACLs at all, there is none to remove. */
export function removeAcl(from: Place, name: string): void {
  try {
    removeFrom(from, name);
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
  }
}
