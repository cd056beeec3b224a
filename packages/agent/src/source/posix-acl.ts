import type { AclEntry } from '@bakker/impl-format';

/** The kernel's bytes are not an ACL as acl(5) describes it. */
export class AclError extends Error {
  override readonly name = 'AclError';
  readonly code = 'EINVAL';
}

/** Names for ids, where there are any. */
export interface AclNames {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
}

/**
 * Decodes the value of `system.posix_acl_access` or `system.posix_acl_default`: a version word, then tag, permissions and
 * id for each entry, little-endian (linux/posix_acl_xattr.h). Pure.
 *
 * @throws AclError
 */
export function decodeAcl(value: Buffer): AclEntry[] {
  if (value.length < 4 || (value.length - 4) % 8 !== 0) throw new AclError(`an ACL of ${value.length} bytes`);
  if (value.readUInt32LE(0) !== VERSION) throw new AclError(`an ACL of version ${value.readUInt32LE(0)}`);
  const entries: AclEntry[] = [];
  for (let at = 4; at < value.length; at += 8) {
    const tag = TAGS.find(([, bits]) => bits === value.readUInt16LE(at))?.[0];
    if (tag === undefined) throw new AclError(`an ACL with the tag ${value.readUInt16LE(at)}`);
    const perms = value.readUInt16LE(at + 2);
    if (perms > 7) throw new AclError(`an ACL with the permissions ${perms}`);
    entries.push(isNamed(tag) ? { tag, perms, id: value.readUInt32LE(at + 4) } : { tag, perms });
  }
  return entries;
}

/** Encodes for the kernel, in the order that it asks for: by tag, then by id. Names are not looked at. Pure. */
export function encodeAcl(entries: readonly AclEntry[]): Buffer {
  const rank = (entry: AclEntry) => TAGS.findIndex(([tag]) => tag === entry.tag);
  const sorted = entries.toSorted((a, b) => rank(a) - rank(b) || (a.id ?? 0) - (b.id ?? 0));
  const value = Buffer.alloc(4 + 8 * sorted.length);
  value.writeUInt32LE(VERSION, 0);
  for (const [index, entry] of sorted.entries()) {
    const at = 4 + 8 * index;
    value.writeUInt16LE(TAGS[rank(entry)]?.[1] ?? 0, at);
    value.writeUInt16LE(entry.perms, at + 2);
    value.writeUInt32LE(isNamed(entry.tag) ? (entry.id ?? NO_ID) : NO_ID, at + 4);
  }
  return value;
}

/** Whether an access ACL says no more than the mode does: owner, group, others. */
export function isMinimalAcl(entries: readonly AclEntry[]): boolean {
  return entries.every(({ tag }) => tag === 'user-obj' || tag === 'group-obj' || tag === 'other');
}

/** The entries with the names of their users and groups; those without a name stay as they are. */
export function nameAcl(entries: readonly AclEntry[], names: AclNames): AclEntry[] {
  return entries.map((entry) => {
    if (entry.id === undefined) return entry;
    const name = entry.tag === 'user' ? names.userName(entry.id) : names.groupName(entry.id);
    return name === undefined ? entry : { ...entry, name };
  });
}

const VERSION = 2;
const NO_ID = 0xffffffff;
const TAGS = [
  ['user-obj', 0x01],
  ['user', 0x02],
  ['group-obj', 0x04],
  ['group', 0x08],
  ['mask', 0x10],
  ['other', 0x20],
] as const;

function isNamed(tag: AclEntry['tag']): boolean {
  return tag === 'user' || tag === 'group';
}
