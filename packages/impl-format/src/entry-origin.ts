import type { Entry } from './entry.ts';

/** The line that an entry was read from: `block` from `start` up to and with the newline before `end`. */
export interface EntryLine {
  readonly of: Entry;
  readonly kind: 'line';
  /** Counted from 0, the header left out. */
  readonly number: number;
  readonly block: Buffer;
  readonly start: number;
  readonly end: number;
}

/** A line of the parent's manifest with another path in its place, as far as anybody can tell without reading it. */
export interface MovedLine {
  readonly of: Entry;
  readonly kind: 'moved';
  readonly from: Buffer;
}

/** Where an entry has its line from. It says nothing of the entry: a copy of an entry has none. */
export type EntryOrigin = EntryLine | MovedLine;

/** Undefined for an entry that nothing is known of, and for a copy of one of which something was. */
export function originOf(entry: Entry): EntryOrigin | undefined {
  const { origin } = entry;
  return origin?.of === entry ? origin : undefined;
}

/** Notes that the entry's line is the parent's of `from` but for the path. */
export function markMoved(entry: Entry, from: Buffer): Entry {
  const marked: Entry & { origin?: EntryOrigin } = { ...entry };
  marked.origin = { of: marked, kind: 'moved', from };
  return marked;
}
