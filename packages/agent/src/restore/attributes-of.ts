import type { Acl, AclEntry, Entry } from '@bakker/impl-format';
import type { Attributes, RestoreTarget } from '../ports/restore-target.ts';

/**
 * Translates what a run says of owners and ACLs into this machine's ids: by name, and by the recorded id where the name
 * is unknown here; with `numericOwner` always the recorded ids.
 */
export function attributesOf(
  entry: Entry,
  {
    names,
    numericOwner,
  }: { readonly names: Pick<RestoreTarget, 'userId' | 'groupId'>; readonly numericOwner: boolean },
): Attributes {
  const uid = numericOwner || entry.user === undefined ? undefined : names.userId(entry.user);
  const gid = numericOwner || entry.group === undefined ? undefined : names.groupId(entry.group);
  return {
    uid: uid ?? entry.uid,
    gid: gid ?? entry.gid,
    mode: entry.mode,
    mtimeNs: entry.mtimeNs,
    acl: entry.acl === undefined || numericOwner ? entry.acl : translate(entry.acl, names),
    xattrs: entry.xattrs ?? [],
  };
}

function translate(acl: Acl, names: Pick<RestoreTarget, 'userId' | 'groupId'>): Acl {
  const here = (line: AclEntry): AclEntry => {
    if (line.name === undefined) return line;
    const id = line.tag === 'user' ? names.userId(line.name) : names.groupId(line.name);
    return id === undefined ? line : { ...line, id };
  };
  return {
    ...(acl.access === undefined ? {} : { access: acl.access.map(here) }),
    ...(acl.default === undefined ? {} : { default: acl.default.map(here) }),
  };
}
