import { createHash } from 'node:crypto';
import { decodeBase32, encodeBase32 } from './base32.ts';
import { KEY_BYTES } from './key-pair.ts';

const CHECK_BYTES = 3;

/** A key in one word: what it is, then key and checksum in base32: `bakker-public-key:` and 56 characters. */
export function encodeChecked(label: string, key: Uint8Array): string {
  return `${label}:${encodeBase32(Buffer.concat([key, checkOf(label, key)]))}`;
}

/** The key in such a word; undefined if a character is wrong. @param word - begins with label and colon */
export function decodeChecked(label: string, word: string): Buffer | undefined {
  const bytes = decodeBase32(word.slice(label.length + 1));
  if (bytes?.length !== KEY_BYTES + CHECK_BYTES) return undefined;
  const key = bytes.subarray(0, KEY_BYTES);
  return checkOf(label, key).equals(bytes.subarray(KEY_BYTES)) ? Buffer.from(key) : undefined;
}

/** The label keeps a private key from being read as a public one. */
function checkOf(label: string, key: Uint8Array): Buffer {
  return createHash('sha256').update(`${label} 1\0`).update(key).digest().subarray(0, CHECK_BYTES);
}
