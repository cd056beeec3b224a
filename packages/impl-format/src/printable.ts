import { isUtf8 } from 'node:buffer';

const LONGEST_BYTES = 512;
/** Control characters, those that turn the writing direction or break lines, and the escape itself. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\\]/gu;

/** A path for a message: one line that can't steer a terminal. Bytes that are not UTF-8 show as `\xff`. */
export function printableBytes(bytes: Buffer): string {
  const shown = bytes.subarray(0, LONGEST_BYTES);
  const text = isUtf8(shown) ? shown.toString('utf8').replace(UNSAFE, escapeCharacter) : escapeBytes(shown);
  return shown.length < bytes.length ? `${text}…` : text;
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\';
  if (character === '\n') return '\\n';
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function escapeBytes(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}
