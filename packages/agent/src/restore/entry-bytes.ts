import type { Entry } from '@bakker/impl-format';

/** An entry without anything that it need not have. */
const LEAST_BYTES = 512;
const ITEM_BYTES = 64;

/** About what an entry takes in memory: mostly little, but a line of a manifest may have 16 MiB. */
export function entryBytes({ path, target, xattrs = [], extents = [], acl }: Entry): number {
  const items = xattrs.length + extents.length + (acl?.access?.length ?? 0) + (acl?.default?.length ?? 0);
  const values = xattrs.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  return LEAST_BYTES + path.length + (target?.length ?? 0) + items * ITEM_BYTES + values;
}
