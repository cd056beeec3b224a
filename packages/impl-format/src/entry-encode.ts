import type { ByteWriter } from './byte-writer.ts';
import type { Entry, EntryType } from './entry.ts';
import { encodeDetails } from './entry-details.ts';
import { FormatProblem } from './errors.ts';

/** More than 64-bit seconds are in nanoseconds; a sign is not counted. */
export const MAX_TIME_DIGITS = 28;
export const MAX_INODE = 2n ** 64n - 1n;

const PATH = Buffer.from('{"path":');
const TYPES: Readonly<Record<EntryType, Buffer>> = {
  file: Buffer.from(',"type":"file","size":'),
  directory: Buffer.from(',"type":"directory"'),
  symlink: Buffer.from(',"type":"symlink"'),
  fifo: Buffer.from(',"type":"fifo"'),
  socket: Buffer.from(',"type":"socket"'),
  char: Buffer.from(',"type":"char"'),
  block: Buffer.from(',"type":"block"'),
};
const MODES = Array.from({ length: 0o10000 }, (_, mode) => mode.toString(8).padStart(4, '0'));
const MODE = Buffer.from(',"mode":"');
const UID = Buffer.from('","uid":');
const GID = Buffer.from(',"gid":');
const USER = Buffer.from(',"user":');
const GROUP = Buffer.from(',"group":');
const MTIME = Buffer.from(',"mtimeNs":"');
const CTIME = Buffer.from('","ctimeNs":"');
const INODE = Buffer.from('","inode":"');
const FS = Buffer.from(',"fs":');
const LINKS = Buffer.from(',"links":');
const QUOTE = Buffer.from('"');
const SHA256 = Buffer.from(',"sha256":"');
const SEALED = Buffer.from(',"sealed":');
const END = Buffer.from('}\n');

const MOST_NAMES_KEPT = 4096;
const namesAsJson = new Map<string, Buffer>();

/**
 * Writes the line of an entry that passed `checkEntry`.
 * @throws FormatProblem MALFORMED for a time, inode, user or group that has no form
 */
export function encodeEntryLine(entry: Entry, out: ByteWriter): void {
  const { type, user, group, inode, filesystem, linkCount, sha256 } = entry;
  if (inode < 0n || inode > MAX_INODE) throw new FormatProblem('MALFORMED', 'the inode is out of range');
  out.literal(PATH);
  out.byteText(entry.path);
  out.literal(TYPES[type]);
  if (type === 'file') out.number(entry.sizeBytes);
  out.literal(MODE);
  out.ascii(MODES[entry.mode] ?? '');
  out.literal(UID);
  out.number(entry.uid);
  out.literal(GID);
  out.number(entry.gid);
  if (user !== undefined) {
    out.literal(USER);
    out.literal(nameAsJson(user));
  }
  if (group !== undefined) {
    out.literal(GROUP);
    out.literal(nameAsJson(group));
  }
  out.literal(MTIME);
  out.ascii(timeDigits(entry.mtimeNs));
  out.literal(CTIME);
  out.ascii(timeDigits(entry.ctimeNs));
  out.literal(INODE);
  out.ascii(inode.toString());
  out.literal(QUOTE);
  if (filesystem !== 0) {
    out.literal(FS);
    out.number(filesystem);
  }
  if (linkCount !== 1) {
    out.literal(LINKS);
    out.number(linkCount);
  }
  if (sha256 !== undefined) {
    out.literal(SHA256);
    out.hex(sha256);
    out.literal(QUOTE);
  }
  if (entry.sealedBytes !== undefined) {
    out.literal(SEALED);
    out.number(entry.sealedBytes);
  }
  const details = encodeDetails(entry);
  if (details !== '') out.text(details);
  out.literal(END);
}

function timeDigits(timeNs: bigint): string {
  const digits = timeNs.toString();
  if (digits.length > MAX_TIME_DIGITS + (timeNs < 0n ? 1 : 0)) {
    throw new FormatProblem('MALFORMED', 'a time is out of range');
  }
  return digits;
}

/** Few users own many files. */
function nameAsJson(name: string): Buffer {
  const known = namesAsJson.get(name);
  if (known !== undefined) return known;
  if (!name.isWellFormed()) throw new FormatProblem('MALFORMED', 'a user or group has a lone surrogate');
  if (namesAsJson.size >= MOST_NAMES_KEPT) namesAsJson.clear();
  const json = Buffer.from(JSON.stringify(name));
  namesAsJson.set(name, json);
  return json;
}
