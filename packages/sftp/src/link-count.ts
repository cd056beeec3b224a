/**
 * The link count in the line that OpenSSH's server sends with each name (as of `ls -l`: mode, links, owner, …), or
 * undefined where the line has another shape. Attributes of version 3 do not tell it, and this needs no further request.
 */
export function linkCountOf(longName: Buffer): number | undefined {
  let at = MODE_BYTES;
  if (longName.length < MIN_LINE_BYTES) return undefined;
  for (let index = 0; index < MODE_BYTES; index++) {
    if (!MODE_LETTERS.includes(longName[index] ?? 0)) return undefined;
  }
  // A mark for an ACL, as ls(1) has it.
  if (longName[at] === PLUS || longName[at] === DOT) at++;
  if (longName[at] !== SPACE) return undefined;
  while (longName[at] === SPACE) at++;
  const start = at;
  let count = 0;
  for (let digit = digitAt(longName, at); digit !== undefined; digit = digitAt(longName, ++at)) {
    count = count * 10 + digit;
  }
  return at > start && at - start <= MAX_DIGITS && longName[at] === SPACE ? count : undefined;
}

const MODE_BYTES = 10;
const MIN_LINE_BYTES = 20;
const MAX_DIGITS = 10;
const MODE_LETTERS = Buffer.from('-rwxdlcbpsStTD?');
const SPACE = 0x20;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;

function digitAt(line: Buffer, at: number): number | undefined {
  const digit = (line[at] ?? 0) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : undefined;
}
