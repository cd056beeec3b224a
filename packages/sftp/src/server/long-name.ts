import { clampSeconds } from '../attributes.ts';
import { printable } from '../printable.ts';
import type { NamedItem } from './service.ts';

/**
 * A line like that of `ls -ln --time-style=long-iso`, which programs for people print: the time is UTC, `?` stands for what
 * is not known, and the name is made harmless for terminals.
 */
export function longNameOf({ name, attributes, linkCount }: NamedItem): Buffer {
  const { permissions, uid, gid, sizeBytes, mtimeS } = attributes;
  const columns = [
    permissions === undefined ? '??????????' : modeText(permissions),
    text(linkCount).padStart(4),
    text(uid).padEnd(8),
    text(gid).padEnd(8),
    text(sizeBytes).padStart(8),
    mtimeS === undefined ? '?'.padStart(16) : timeText(mtimeS),
    printable(name),
  ];
  return Buffer.from(columns.join(' '));
}

function text(value: number | undefined): string {
  return value === undefined ? '?' : String(value);
}

function timeText(seconds: number): string {
  return new Date(clampSeconds(seconds) * 1000).toISOString().slice(0, 16).replace('T', ' ');
}

function modeText(mode: number): string {
  const bits = (shift: number, special: boolean, mark: string): string => {
    const three = (mode >> shift) & 7;
    const execute = three & 1 ? (special ? mark : 'x') : special ? mark.toUpperCase() : '-';
    return (three & 4 ? 'r' : '-') + (three & 2 ? 'w' : '-') + execute;
  };
  const type = TYPE_LETTERS.get(mode & 0o170000) ?? '?';
  const owner = bits(6, (mode & 0o4000) !== 0, 's');
  const group = bits(3, (mode & 0o2000) !== 0, 's');
  return type + owner + group + bits(0, (mode & 0o1000) !== 0, 't');
}

const TYPE_LETTERS: ReadonlyMap<number, string> = new Map([
  [0o010000, 'p'],
  [0o020000, 'c'],
  [0o040000, 'd'],
  [0o060000, 'b'],
  [0o100000, '-'],
  [0o120000, 'l'],
  [0o140000, 's'],
]);
