import type { Entry } from '@bakker/impl-format';

/**
 * About what an entry holds beside the usual: extended attributes and stretches of data, of which one file may have megabytes. Nearly
 * all have none. Pure.
 */
export function detailBytes({ xattrs, extents }: Pick<Entry, 'xattrs' | 'extents'>): number {
  let bytes = (extents?.length ?? 0) * EXTENT_BYTES;
  for (const { name, value } of xattrs ?? []) bytes += name.length + value.length;
  return bytes;
}

/** Of an extent, as V8 holds it. */
const EXTENT_BYTES = 64;
