import { createHash } from 'node:crypto';
import { decodeBase32, encodeBase32 } from './base32.ts';
import { asPrivateKey, KEY_BYTES } from './key-pair.ts';
import type { PrivateKey } from './key-pair.ts';
import { KeyTextError } from './sealed-error.ts';

const GROUP_DATA_BYTES = 4;
const GROUP_CHARACTERS = 8;
/** Eight of the key, and one that proves that they belong together. */
const GROUP_COUNT = KEY_BYTES / GROUP_DATA_BYTES + 1;
const POLYNOMIAL = 0x07;
const MISREAD: Readonly<Record<string, string>> = { '0': 'o', '1': 'l', '8': 'b' };

/**
 * A private key as nine groups of eight characters. Each group has a checksum of its own that finds every single wrong
 * character in it, and its number is in that checksum; the ninth is over all.
 */
export function paperGroups(key: PrivateKey): string[] {
  const bytes = Buffer.concat([key, wholeCheck(key)]);
  return Array.from({ length: GROUP_COUNT }, (_, index) => {
    const data = bytes.subarray(index * GROUP_DATA_BYTES, (index + 1) * GROUP_DATA_BYTES);
    return encodeBase32(Buffer.concat([data, Buffer.of(groupCheck(data, index))]));
  });
}

/** The groups as they are printed: three lines of three, each with its number before it. */
export function formatPaperKey(key: PrivateKey): string {
  const cells = paperGroups(key).map((group, index) => `${index + 1} ${group}`);
  return [cells.slice(0, 3), cells.slice(3, 6), cells.slice(6)].map((row) => row.join('   ')).join('\n');
}

/** Whether a text could be a key that somebody typed from paper: most groups look like one, whatever happened to others. */
export function looksLikePaperKey(text: string): boolean {
  const groups = groupsIn(text);
  return groups.filter(looksLikeGroup).length > groups.length / 2 && groups.length <= 2 * GROUP_COUNT;
}

/** Whether a text could be the beginning of such a key, typed up to the end of a line. */
export function isPaperKeyBegun(text: string): boolean {
  const groups = groupsIn(text);
  return groups.length > 0 && groups.length < GROUP_COUNT && groups.some(looksLikeGroup);
}

/**
 * Reads what was typed: groups apart by white space or dashes, their numbers or not, in any case.
 *
 * @throws KeyTextError DAMAGED naming every group that is wrong
 */
export function parsePaperKey(text: string): PrivateKey {
  const groups = groupsIn(text);
  const data = groups.map(readGroup);
  const wrong = data.flatMap((bytes, index) => (bytes === undefined ? [index + 1] : []));
  if (groups.length !== GROUP_COUNT) {
    const first = wrong[0] === undefined ? '' : `; look from group ${wrong[0]} on`;
    throw new KeyTextError(
      'DAMAGED',
      `a key on paper has ${GROUP_COUNT} groups of ${GROUP_CHARACTERS} characters, and here are ${groups.length}${first}`,
    );
  }
  if (wrong.length > 0) {
    const which = wrong.length === 1 ? `group ${wrong[0]} is` : `groups ${wrong.join(', ')} are`;
    throw new KeyTextError('DAMAGED', `${which} mistyped`);
  }
  const bytes = Buffer.concat(data.filter((part) => part !== undefined));
  const key = asPrivateKey(bytes.subarray(0, KEY_BYTES));
  if (key === undefined || !wholeCheck(key).equals(bytes.subarray(KEY_BYTES))) {
    throw new KeyTextError('DAMAGED', 'every group is right by itself, but they are not of one key');
  }
  return key;
}

function groupsIn(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s-]+/)
    .filter((word) => word !== '' && !/^[1-9][.:)]?$/.test(word));
}

function looksLikeGroup(group: string): boolean {
  return group.length === GROUP_CHARACTERS && /^[a-z0-9]+$/.test(group);
}

function readGroup(group: string, index: number): Buffer | undefined {
  const bytes = decodeBase32(group.replace(/[018]/g, (digit) => MISREAD[digit] ?? digit));
  if (group.length !== GROUP_CHARACTERS || bytes === undefined) return undefined;
  const data = bytes.subarray(0, GROUP_DATA_BYTES);
  return bytes[GROUP_DATA_BYTES] === groupCheck(data, index) ? data : undefined;
}

/** CRC-8, started with the group's number: finds every burst of 8 bits, and a character is 5. */
function groupCheck(data: Buffer, index: number): number {
  let crc = index + 1;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x80 ? POLYNOMIAL : 0)) & 0xff;
  }
  return crc;
}

function wholeCheck(key: Uint8Array): Buffer {
  return createHash('sha256')
    .update('bakker paper key 1\0')
    .update(key)
    .digest()
    .subarray(0, GROUP_DATA_BYTES);
}
