/**
 * Bytes of a name or a message as text for people: valid UTF-8 stays, everything else and all that could steer a terminal
 * becomes `\xNN` or `\u{N}`. Cut to `maxLength` characters.
 */
export function printable(bytes: Uint8Array, maxLength = 4096): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const utf8 = buffer.toString('utf8');
  const text =
    utf8.includes('\ufffd') && !Buffer.from(utf8).equals(buffer) ? buffer.toString('latin1') : utf8;
  const escaped = text.replace(text === utf8 ? UNSAFE : UNSAFE_LATIN1, escapeCharacter);
  return escaped.length > maxLength ? `${escaped.slice(0, maxLength)}…` : escaped;
}

// C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of text.
const UNSAFE = /[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const UNSAFE_LATIN1 = /[\0-\x1f\x7f-\xff]/g;

function escapeCharacter(character: string): string {
  const code = character.charCodeAt(0);
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
