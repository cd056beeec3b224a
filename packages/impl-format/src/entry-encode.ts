import { encodeByteText } from './byte-text.ts';
import type { Entry } from './entry.ts';
import { encodeDetails } from './entry-details.ts';
import { FormatProblem } from './errors.ts';

/** More than 64-bit seconds are in nanoseconds; a sign is not counted. */
export const MAX_TIME_DIGITS = 28;
export const MAX_INODE = 2n ** 64n - 1n;

const MODES: readonly string[] = Array.from({ length: 0o10000 }, (_, mode) =>
  mode.toString(8).padStart(4, '0'),
);
const MOST_NAMES_KEPT = 4096;
const namesAsJson = new Map<string, string>();

/**
 * The line of an entry that passed `checkEntry`, without its newline.
 * @throws FormatProblem MALFORMED for a time, inode, user or group that has no form
 */
export function encodeEntryLine(entry: Entry): string {
  const { type, user, group, mtimeNs, ctimeNs, inode, filesystem, linkCount, sha256 } = entry;
  if (inode < 0n || inode > MAX_INODE) throw new FormatProblem('MALFORMED', 'the inode is out of range');
  let line = `{"path":${encodeByteText(entry.path)},"type":"${type}"`;
  if (type === 'file') line += `,"size":${entry.sizeBytes}`;
  line += `,"mode":"${MODES[entry.mode]}","uid":${entry.uid},"gid":${entry.gid}`;
  if (user !== undefined) line += `,"user":${nameAsJson(user)}`;
  if (group !== undefined) line += `,"group":${nameAsJson(group)}`;
  line += `,"mtimeNs":"${timeDigits(mtimeNs)}","ctimeNs":"${timeDigits(ctimeNs)}","inode":"${inode}"`;
  if (filesystem !== 0) line += `,"fs":${filesystem}`;
  if (linkCount !== 1) line += `,"links":${linkCount}`;
  if (sha256 !== undefined) line += `,"sha256":"${sha256.toString('hex')}"`;
  return `${line}${encodeDetails(entry)}}`;
}

function timeDigits(timeNs: bigint): string {
  const digits = timeNs.toString();
  if (digits.length > MAX_TIME_DIGITS + (timeNs < 0n ? 1 : 0)) {
    throw new FormatProblem('MALFORMED', 'a time is out of range');
  }
  return digits;
}

/** Few users own many files. */
function nameAsJson(name: string): string {
  const known = namesAsJson.get(name);
  if (known !== undefined) return known;
  if (!name.isWellFormed()) throw new FormatProblem('MALFORMED', 'a user or group has a lone surrogate');
  if (namesAsJson.size >= MOST_NAMES_KEPT) namesAsJson.clear();
  const json = JSON.stringify(name);
  namesAsJson.set(name, json);
  return json;
}
