import type { Entry } from '@bakker/impl-format';
import { chooseStored } from '../backup/stored-place.ts';
import type { Naming, PlacedEntry } from './sealing.ts';

const MANIFEST = { kind: 'manifest' } as const;

/** Names as they are. Where a symlink leads is told by the manifest alone. @param wasHidden - the parent's names are */
export function clearNaming(maxPathBytes: number, wasHidden: boolean): Naming {
  return {
    nameKey: undefined,
    prepare: () => undefined,
    place: (now): PlacedEntry => ({ entry: placed(now, maxPathBytes), isAsBefore: !wasHidden }),
  };
}

function placed(now: Entry, maxPathBytes: number): Entry {
  const stored = now.type === 'symlink' ? MANIFEST : chooseStored(now, maxPathBytes);
  return stored === now.stored ? now : { ...now, stored };
}
