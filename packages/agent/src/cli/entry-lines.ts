import { escapeName, formatDate, tableLine, widenColumns } from '@bakker/command-line';
import type { Screen } from '@bakker/command-line';
import { baseName, type Entry, type RunName } from '@bakker/impl-format';
import type { Hit } from '../ports/findings.ts';

/** Entries of one run as `ls -l` shows files. Goes through them twice. */
export function* longLines(hits: Iterable<Hit>, screen: Pick<Screen, 'name'>): Generator<string> {
  const widths: number[] = [];
  for (const { entry } of hits) widenColumns(widths, factCells(entry, screen));
  for (const { entry } of hits) {
    const cells = [...factCells(entry, screen), nameText(entry, screen, 'name')];
    yield tableLine(cells, { widths, rightAligned: RIGHT_ALIGNED });
  }
}

/** The same run by run, with whole paths. Holds the widths of each run's columns. */
export function* longLinesByRun(hits: Iterable<Hit>, screen: Pick<Screen, 'name'>): Generator<string> {
  const widthsOf = new Map<RunName, number[]>();
  for (const { run, entry } of hits) {
    const widths = widthsOf.get(run) ?? [];
    widthsOf.set(run, widths);
    widenColumns(widths, factCells(entry, screen));
  }
  let current: RunName | undefined;
  for (const { run, entry } of hits) {
    if (run !== current) yield `${run}:`;
    current = run;
    const cells = [...factCells(entry, screen), nameText(entry, screen, 'path')];
    yield `  ${tableLine(cells, { widths: widthsOf.get(run) ?? [], rightAligned: RIGHT_ALIGNED })}`;
  }
  if (current === undefined) yield 'Nothing found.';
}

const RIGHT_ALIGNED = [1, 4];

/** All but the name. */
function factCells(entry: Entry, screen: Pick<Screen, 'name'>): string[] {
  return [
    modeText(entry),
    String(entry.linkCount),
    owner(entry.user, entry.uid, screen),
    owner(entry.group, entry.gid, screen),
    entry.device === undefined ? String(entry.sizeBytes) : `${entry.device.major}, ${entry.device.minor}`,
    formatDate(Number(entry.mtimeNs / 1_000_000n)),
  ];
}

/** What is said of an entry in JSON besides its path. */
export function entryJson(entry: Entry): Record<string, unknown> {
  return {
    type: entry.type,
    size: entry.sizeBytes,
    mode: entry.mode.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    ...(entry.user === undefined ? {} : { user: entry.user }),
    ...(entry.group === undefined ? {} : { group: entry.group }),
    mtime: isoTime(entry.mtimeNs),
    links: entry.linkCount,
    ...(entry.target === undefined ? {} : { target: escapeName(entry.target) }),
    ...(entry.device === undefined ? {} : { device: `${entry.device.major}:${entry.device.minor}` }),
    ...(entry.sha256 === undefined ? {} : { sha256: entry.sha256.toString('hex') }),
    ...(entry.unreadable === undefined ? {} : { unreadable: entry.unreadable }),
  };
}

/** `drwxr-sr-x`, with a `+` behind for ACLs. */
export function modeText({ type, mode, acl }: Pick<Entry, 'type' | 'mode' | 'acl'>): string {
  const triple = (shift: number, special: boolean, letter: string) => {
    const bits = mode >> shift;
    const executes = (bits & 1) !== 0;
    const last = special ? (executes ? letter : letter.toUpperCase()) : executes ? 'x' : '-';
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
  };
  const text =
    triple(6, (mode & 0o4000) !== 0, 's') +
    triple(3, (mode & 0o2000) !== 0, 's') +
    triple(0, (mode & 0o1000) !== 0, 't');
  return `${LETTERS[type]}${text}${acl === undefined ? '' : '+'}`;
}

const LETTERS = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  char: 'c',
  block: 'b',
} as const;

function owner(name: string | undefined, id: number, screen: Pick<Screen, 'name'>): string {
  return name === undefined ? String(id) : screen.name(Buffer.from(name));
}

function nameText(entry: Entry, screen: Pick<Screen, 'name'>, kind: 'name' | 'path'): string {
  const name = kind === 'path' ? `/${screen.name(entry.path)}` : screen.name(baseName(entry.path));
  const target = entry.target === undefined ? '' : ` -> ${screen.name(entry.target)}`;
  const absent = entry.unreadable === undefined ? '' : `  (could not be read: ${entry.unreadable})`;
  return `${name}${target}${absent}`;
}

/** To the nanosecond; text, because a Date keeps milliseconds. */
function isoTime(timeNs: bigint): string {
  let nanoseconds = timeNs % 1_000_000_000n;
  if (nanoseconds < 0n) nanoseconds += 1_000_000_000n;
  const seconds = Number((timeNs - nanoseconds) / 1_000_000_000n);
  if (Math.abs(seconds) > 8.64e12) return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
  const date = new Date(seconds * 1000).toISOString();
  return `${date.slice(0, date.indexOf('.'))}.${String(nanoseconds).padStart(9, '0')}Z`;
}
