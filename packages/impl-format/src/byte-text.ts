import { isUtf8 } from 'node:buffer';
import { FormatProblem } from './errors.ts';

/** Bytes as a value in JSON: text if they are valid UTF-8, else base64. Each sequence of bytes has one form only. */
export type ByteText = string | { readonly b64: string };

/** The JSON text of `bytes`, without white space. */
export function encodeByteText(bytes: Buffer): string {
  if (isPlain(bytes)) return `"${bytes.toString('latin1')}"`;
  return isUtf8(bytes) ? JSON.stringify(bytes.toString('utf8')) : `{"b64":"${bytes.toString('base64')}"}`;
}

/** For values that become JSON by JSON.stringify. */
export function toByteText(bytes: Buffer): ByteText {
  return isUtf8(bytes) ? bytes.toString('utf8') : { b64: bytes.toString('base64') };
}

/**
 * The bytes of a value that JSON.parse made.
 * @throws FormatProblem MALFORMED for another type, a lone surrogate, or the form that is not the one of these bytes
 */
export function decodeByteText(value: unknown): Buffer {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new FormatProblem('MALFORMED', 'text has a lone surrogate');
    return Buffer.from(value, 'utf8');
  }
  if (typeof value !== 'object' || value === null || !('b64' in value) || Object.keys(value).length !== 1) {
    throw new FormatProblem('MALFORMED', 'expected text or {"b64":…}');
  }
  const bytes = decodeBase64(value.b64);
  if (isUtf8(bytes)) throw new FormatProblem('MALFORMED', 'b64 where text would do');
  return bytes;
}

/**
 * @throws FormatProblem MALFORMED unless `value` is base64 with padding and no spare bits (RFC 4648 section 4)
 */
export function decodeBase64(value: unknown): Buffer {
  if (typeof value !== 'string') throw new FormatProblem('MALFORMED', 'expected base64');
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value)
    throw new FormatProblem('MALFORMED', 'base64 is not in its one form');
  return bytes;
}

/** Printable ASCII that JSON needs no escape for: by far the most names. */
function isPlain(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) return false;
  }
  return true;
}
