import { decodeBase64, decodeByteText, encodeByteText } from './byte-text.ts';
import type { Acl, AclEntry, Entry, Extent, Stored, Xattr } from './entry.ts';
import { ACL_TAGS } from './entry-rules.ts';
import { FormatProblem } from './errors.ts';
import {
  asArray,
  asCount,
  asObject,
  asText,
  MAX_UINT32,
  parseObject,
  refuseUnknownKeys,
} from './json-checks.ts';

/** The keys that few entries have; they end the line. */
export type EntryDetails = Pick<
  Entry,
  'device' | 'target' | 'acl' | 'xattrs' | 'extents' | 'stored' | 'unsettled' | 'unreadable' | 'nameId'
>;

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

export const OWN: Stored = Object.freeze({ kind: 'own' });

const KEYS: ReadonlySet<string> = new Set([
  'rdev',
  'target',
  'acl',
  'xattrs',
  'extents',
  'stored',
  'unsettled',
  'unreadable',
  'nameId',
]);
const ACL_KEYS: ReadonlySet<string> = new Set(['access', 'default']);
const ACL_ENTRY_KEYS: ReadonlySet<string> = new Set(['tag', 'perms', 'id', 'name']);
const STORED_KEYS: ReadonlySet<string> = new Set(['at']);

/** `,"key":value` for each that is there, in the fixed order; empty for most entries. */
export function encodeDetails(details: EntryDetails): string {
  const { device, target, acl, xattrs, extents, stored, unreadable } = details;
  let text = '';
  if (device !== undefined) text += `,"rdev":[${device.major},${device.minor}]`;
  if (target !== undefined) text += `,"target":${encodeByteText(target)}`;
  if (acl !== undefined) text += aclText(acl);
  if (xattrs !== undefined && xattrs.length > 0) text += `,"xattrs":[${xattrs.map(xattrText).join(',')}]`;
  if (extents !== undefined) text += `,"extents":[${extents.map(extentText).join(',')}]`;
  if (stored.kind === 'manifest') text += ',"stored":"manifest"';
  if (stored.kind === 'elsewhere') text += `,"stored":{"at":${encodeByteText(stored.at)}}`;
  if (details.unsettled === true) text += ',"unsettled":true';
  if (unreadable !== undefined) text += `,"unreadable":${JSON.stringify(unreadable)}`;
  if (details.nameId !== undefined) text += `,"nameId":"${details.nameId.toString('hex')}"`;
  return text;
}

/**
 * @param text what `encodeDetails` gave; not empty
 * @throws FormatProblem MALFORMED for anything else
 */
export function decodeDetails(text: string): EntryDetails {
  const value = parseObject(`{${text.slice(1)}}`);
  refuseUnknownKeys(value, KEYS);
  const { rdev, target, acl, xattrs, extents, unsettled, unreadable, nameId } = value;
  const details: Writable<EntryDetails> = { stored: asStored(value['stored']) };
  if (rdev !== undefined) {
    const [major, minor] = asPair(rdev, 'rdev');
    details.device = { major: asCount(major, 'rdev', MAX_UINT32), minor: asCount(minor, 'rdev', MAX_UINT32) };
  }
  if (target !== undefined) details.target = decodeByteText(target);
  if (acl !== undefined) details.acl = asAcl(acl);
  if (xattrs !== undefined) details.xattrs = asArray(xattrs, 'xattrs').map(asXattr);
  if (extents !== undefined) details.extents = asArray(extents, 'extents').map(asExtent);
  if (unsettled !== undefined) details.unsettled = unsettled === true;
  if (unreadable !== undefined) details.unreadable = asText(unreadable, 'unreadable');
  if (nameId !== undefined) details.nameId = Buffer.from(asText(nameId, 'nameId'), 'hex');
  if (encodeDetails(details) !== text)
    throw new FormatProblem('MALFORMED', 'the line is not in its one form');
  return details;
}

function aclText({ access = [], default: inherited = [] }: Acl): string {
  const lists = [];
  if (access.length > 0) lists.push(`"access":[${access.map(aclEntryText).join(',')}]`);
  if (inherited.length > 0) lists.push(`"default":[${inherited.map(aclEntryText).join(',')}]`);
  return lists.length > 0 ? `,"acl":{${lists.join(',')}}` : '';
}

function aclEntryText({ tag, perms, id, name }: AclEntry): string {
  let text = `{"tag":"${tag}","perms":${perms}`;
  if (id !== undefined) text += `,"id":${id}`;
  if (name !== undefined) text += `,"name":${JSON.stringify(name)}`;
  return `${text}}`;
}

function xattrText({ name, value }: Xattr): string {
  return `[${encodeByteText(name)},"${value.toString('base64')}"]`;
}

function extentText({ offsetBytes, lengthBytes }: Extent): string {
  return `[${offsetBytes},${lengthBytes}]`;
}

function asStored(value: unknown): Stored {
  if (value === undefined) return OWN;
  if (value === 'manifest') return { kind: 'manifest' };
  const stored = asObject(value, 'stored');
  refuseUnknownKeys(stored, STORED_KEYS);
  return { kind: 'elsewhere', at: decodeByteText(stored['at']) };
}

function asAcl(value: unknown): Acl {
  const acl = asObject(value, 'acl');
  refuseUnknownKeys(acl, ACL_KEYS);
  const { access, default: inherited } = acl;
  return {
    ...(access === undefined ? {} : { access: asArray(access, 'acl.access').map(asAclEntry) }),
    ...(inherited === undefined ? {} : { default: asArray(inherited, 'acl.default').map(asAclEntry) }),
  };
}

function asAclEntry(value: unknown): AclEntry {
  const entry = asObject(value, 'an ACL entry');
  refuseUnknownKeys(entry, ACL_ENTRY_KEYS);
  const tag = ACL_TAGS.find((known) => known === entry['tag']);
  if (tag === undefined) throw new FormatProblem('MALFORMED', 'an ACL entry has an unknown tag');
  return {
    tag,
    perms: asCount(entry['perms'], 'the perms of an ACL entry', 7),
    ...(entry['id'] === undefined ? {} : { id: asCount(entry['id'], 'the id of an ACL entry', MAX_UINT32) }),
    ...(entry['name'] === undefined ? {} : { name: asText(entry['name'], 'the name of an ACL entry') }),
  };
}

function asXattr(value: unknown): Xattr {
  const [name, bytes] = asPair(value, 'an extended attribute');
  return { name: decodeByteText(name), value: decodeBase64(bytes) };
}

function asExtent(value: unknown): Extent {
  const [offset, length] = asPair(value, 'an extent');
  return { offsetBytes: asCount(offset, 'an extent'), lengthBytes: asCount(length, 'an extent') };
}

function asPair(value: unknown, name: string): readonly unknown[] {
  const pair = asArray(value, name);
  if (pair.length !== 2) throw new FormatProblem('MALFORMED', `${name} is not a pair`);
  return pair;
}
