/**
 * Makes a name of any bytes safe for a terminal: control characters, invalid UTF-8, and characters that reorder or
 * hide text become escapes (`\n`, `\x1b`, `\u202e`). A backslash is doubled, so two names never look the same.
 */
export function escapeName(name: Uint8Array): string {
  let shown = '';
  for (const piece of validPieces(name)) {
    shown += typeof piece === 'number' ? hex(piece) : escapeText(piece.replaceAll('\\', '\\\\'));
  }
  return shown;
}

/** The same for text that may have names in it already: a backslash stays as it is. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    return code < 0x80 ? hex(code) : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** The bytes that `escapeName` shows as this text; what is no escape of it stands for itself. */
export function unescapeName(text: string): Buffer {
  const bytes = Buffer.from(text).toString('latin1');
  return Buffer.from(bytes.replace(ESCAPES, bytesOfEscape), 'latin1');
}

// Nothing between U+E000 and U+E007 is escaped: five digits that begin so are one character.
const ESCAPES = /\\(?:([\\ntr])|x([0-9a-f]{2})|u(e00[0-7][0-9a-f]|[0-9a-f]{4}))/gi;
const LETTERS: Readonly<Record<string, string>> = { '\\': '\\', n: '\n', t: '\t', r: '\r' };

function bytesOfEscape(escape: string, letter?: string, byte?: string, code?: string): string {
  if (letter !== undefined) return LETTERS[letter] ?? escape;
  if (byte !== undefined) return String.fromCharCode(parseInt(byte, 16));
  return Buffer.from(String.fromCodePoint(parseInt(code ?? '', 16))).toString('latin1');
}

/** Controls of ASCII and Latin-1, line and paragraph separators, whatever turns the writing direction, invisible marks, halves of pairs. */
const UNSAFE =
  /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\u{e0001}-\u{e007f}]/gu;

/** Valid UTF-8 as text, every other byte as a number. */
function* validPieces(name: Uint8Array): Generator<string | number> {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  let start = 0;
  let position = 0;
  while (position < bytes.length) {
    const length = sequenceLength(bytes, position);
    if (length > 0) {
      position += length;
      continue;
    }
    if (position > start) yield bytes.toString('utf8', start, position);
    yield bytes[position] ?? 0;
    position++;
    start = position;
  }
  if (position > start) yield bytes.toString('utf8', start, position);
}

/** Length of the well-formed UTF-8 sequence at `position` (Unicode, table 3-7); 0 if there is none. */
function sequenceLength(bytes: Buffer, position: number): number {
  const first = bytes[position] ?? 0;
  if (first < 0x80) return 1;
  const second = bytes[position + 1] ?? 0;
  if (first >= 0xc2 && first <= 0xdf) return isTail(second) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const least = first === 0xe0 ? 0xa0 : 0x80;
    const most = first === 0xed ? 0x9f : 0xbf;
    return second >= least && second <= most && isTail(bytes[position + 2]) ? 3 : 0;
  }
  if (first < 0xf0 || first > 0xf4) return 0;
  const least = first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xf4 ? 0x8f : 0xbf;
  const rest = isTail(bytes[position + 2]) && isTail(bytes[position + 3]);
  return second >= least && second <= most && rest ? 4 : 0;
}

function isTail(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf;
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
