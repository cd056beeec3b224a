import type { Acl, Entry } from '@bakker/impl-format';

/** How an entry differs from an older one of the same path; undefined if in nothing that a restore would bring back. */
export function changeOf(before: Entry, after: Entry): 'content' | 'metadata' | undefined {
  if (before.type !== after.type || !sameContent(before, after)) return 'content';
  return sameMetadata(before, after) ? undefined : 'metadata';
}

function sameContent(a: Entry, b: Entry): boolean {
  if (a.unreadable !== b.unreadable || a.sizeBytes !== b.sizeBytes) return false;
  if (!sameBytes(a.target, b.target) || !sameBytes(a.sha256, b.sha256)) return false;
  return a.device?.major === b.device?.major && a.device?.minor === b.device?.minor;
}

/** A folder's time changes with every name in it, which is told by those names. */
function sameMetadata(a: Entry, b: Entry): boolean {
  const isSameTime = a.type === 'directory' || a.mtimeNs === b.mtimeNs;
  if (!isSameTime || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (a.user !== b.user || a.group !== b.group) return false;
  if (aclText(a.acl) !== aclText(b.acl)) return false;
  const [left, right] = [a.xattrs ?? [], b.xattrs ?? []];
  return (
    left.length === right.length &&
    left.every(({ name, value }, index) => {
      const other = right[index];
      return other !== undefined && name.equals(other.name) && value.equals(other.value);
    })
  );
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

function aclText(acl: Acl | undefined): string {
  const lines = [...(acl?.access ?? []), ...(acl?.default ?? [])];
  return [
    acl?.access?.length ?? 0,
    ...lines.map(({ tag, perms, id, name }) => `${tag} ${perms} ${id ?? ''} ${name ?? ''}`),
  ].join('\n');
}
