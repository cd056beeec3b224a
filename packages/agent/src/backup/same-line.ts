import type { Entry, Extent } from '@bakker/impl-format';
import { isMetadataEqual } from './compare.ts';

/**
 * Whether the parent's line says of `before` exactly what the new one would say of `now`, given that the content is the
 * same. Then it is taken over as it stands.
 */
export function isSameLine(now: Entry, before: Entry): boolean {
  return (
    now.ctimeNs === before.ctimeNs &&
    now.inode === before.inode &&
    now.sizeBytes === before.sizeBytes &&
    now.filesystem === before.filesystem &&
    now.linkCount === before.linkCount &&
    now.type === before.type &&
    now.unsettled === before.unsettled &&
    now.unreadable === before.unreadable &&
    isStoredEqual(now, before) &&
    isIdEqual(now.nameId, before.nameId) &&
    isMetadataEqual(now, before) &&
    now.device?.major === before.device?.major &&
    now.device?.minor === before.device?.minor &&
    isTargetEqual(now, before) &&
    isExtentsEqual(now.extents, before.extents)
  );
}

function isStoredEqual({ stored: a }: Entry, { stored: b }: Entry): boolean {
  if (a.kind === 'elsewhere') return b.kind === 'elsewhere' && a.at.equals(b.at);
  return a.kind === b.kind;
}

function isIdEqual(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

function isTargetEqual({ target: a }: Entry, { target: b }: Entry): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

function isExtentsEqual(a: readonly Extent[] | undefined, b: readonly Extent[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.length === b.length &&
    a.every((extent, index) => {
      const other = b[index];
      return extent.offsetBytes === other?.offsetBytes && extent.lengthBytes === other.lengthBytes;
    })
  );
}
