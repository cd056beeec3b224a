/**
 * Whether a glob matches a text, both bytes: git's own `wildmatch` with WM_PATHNAME (wildmatch.c), step by step, so that a
 * pattern means here what it means in a .gitignore. `*` and `?` stop at slashes, `**` between slashes does not,
 * `[…]` knows ranges, negation and POSIX classes, `\` quotes. Pure.
 */
export function wildmatch(pattern: Uint8Array, text: Uint8Array): boolean {
  return match({ pattern, text }, 0, 0) === MATCH;
}

/** Whether a byte means more than itself in a pattern. */
export function isGlobSpecial(byte: number | undefined): boolean {
  return byte === STAR || byte === QUESTION || byte === OPEN || byte === BACKSLASH;
}

const MATCH = 0;
const NO_MATCH = 1;
/** No later start of the last star can help either. */
const ABORT_ALL = 2;
/** Only a `**` before the last star can help. */
const ABORT_TO_STARSTAR = 3;
type Outcome = 0 | 1 | 2 | 3;

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;
const BANG = 0x21;
const CARET = 0x5e;
const DASH = 0x2d;
const COLON = 0x3a;

interface Subject {
  readonly pattern: Uint8Array;
  readonly text: Uint8Array;
}

function match(subject: Subject, patternAt: number, textAt: number): Outcome {
  const { pattern, text } = subject;
  let p = patternAt;
  let t = textAt;
  for (; p < pattern.length; p++, t++) {
    let symbol = pattern[p];
    const byte = text[t];
    if (byte === undefined && symbol !== STAR) return ABORT_ALL;
    // A star where a round starts counts as one after a slash.
    if (symbol === STAR)
      return matchStar(subject, {
        starAt: p,
        textAt: t,
        isAfterSlash: p === patternAt || pattern[p - 1] === SLASH,
      });
    if (symbol === OPEN) {
      const end = matchBracket(pattern, p, byte ?? 0);
      if (end === undefined) return ABORT_ALL;
      if (end < 0) return NO_MATCH;
      p = end;
    } else if (symbol === QUESTION) {
      if (byte === SLASH) return NO_MATCH;
    } else {
      if (symbol === BACKSLASH) symbol = pattern[++p];
      if (byte !== symbol) return NO_MATCH;
    }
  }
  return t < text.length ? NO_MATCH : MATCH;
}

function matchStar(
  subject: Subject,
  { starAt, textAt, isAfterSlash }: { starAt: number; textAt: number; isAfterSlash: boolean },
): Outcome {
  const { pattern, text } = subject;
  let p = starAt + 1;
  let t = textAt;
  let crossesSlashes = false;
  if (pattern[p] === STAR) {
    while (pattern[p] === STAR) p++;
    const isBeforeSlash =
      p >= pattern.length || pattern[p] === SLASH || (pattern[p] === BACKSLASH && pattern[p + 1] === SLASH);
    if (isAfterSlash && isBeforeSlash) {
      if (pattern[p] === SLASH && match(subject, p + 1, t) === MATCH) return MATCH; // it stands for no folder at all
      crossesSlashes = true;
    }
  }
  if (p >= pattern.length) return crossesSlashes || text.indexOf(SLASH, t) < 0 ? MATCH : ABORT_TO_STARSTAR;
  if (!crossesSlashes && pattern[p] === SLASH) {
    const slash = text.indexOf(SLASH, t);
    return slash < 0 ? ABORT_ALL : match(subject, p + 1, slash + 1);
  }
  for (; t < text.length; t++) {
    const literal = pattern[p];
    if (!isGlobSpecial(literal)) {
      while (t < text.length && text[t] !== literal && (crossesSlashes || text[t] !== SLASH)) t++;
      if (text[t] !== literal) return t < text.length ? ABORT_TO_STARSTAR : ABORT_ALL;
    }
    const outcome = match(subject, p, t);
    if (outcome !== NO_MATCH) {
      if (!crossesSlashes || outcome !== ABORT_TO_STARSTAR) return outcome;
    } else if (!crossesSlashes && text[t] === SLASH) return ABORT_TO_STARSTAR;
  }
  return ABORT_ALL;
}

/** Where the bracket ends if `byte` is in it, -1 if it is not, undefined if the bracket is malformed and nothing matches. */
function matchBracket(pattern: Uint8Array, openAt: number, byte: number): number | undefined {
  let p = openAt + 1;
  const isNegated = pattern[p] === BANG || pattern[p] === CARET;
  if (isNegated) p++;
  let isIn = false;
  let previous: number | undefined;
  for (let isFirst = true; isFirst || pattern[p] !== CLOSE; isFirst = false, p++) {
    let symbol = pattern[p];
    if (symbol === undefined) return undefined;
    const next = pattern[p + 1];
    if (symbol === BACKSLASH) {
      symbol = pattern[++p];
      if (symbol === undefined) return undefined;
      if (byte === symbol) isIn = true;
      previous = symbol;
    } else if (symbol === DASH && previous !== undefined && next !== undefined && next !== CLOSE) {
      let last: number | undefined = pattern[++p];
      if (last === BACKSLASH) last = pattern[++p];
      if (last === undefined) return undefined;
      if (byte >= previous && byte <= last) isIn = true;
      previous = undefined;
    } else if (symbol === OPEN && next === COLON) {
      const close = pattern.indexOf(CLOSE, p + 2);
      if (close < 0) return undefined;
      if (close - p < 3 || pattern[close - 1] !== COLON) {
        if (byte === OPEN) isIn = true; // no class: the bracket is a member
        previous = OPEN;
        continue;
      }
      const test = CLASSES.get(Buffer.from(pattern.subarray(p + 2, close - 1)).toString('latin1'));
      if (test === undefined) return undefined;
      if (test.test(String.fromCharCode(byte))) isIn = true;
      previous = undefined;
      p = close;
    } else {
      if (byte === symbol) isIn = true;
      previous = symbol;
    }
  }
  return isIn === isNegated || byte === SLASH ? -1 : p;
}

/** ASCII only, as git has them. */
const CLASSES: ReadonlyMap<string, RegExp> = new Map([
  ['alnum', /[0-9A-Za-z]/],
  ['alpha', /[A-Za-z]/],
  ['blank', /[ \t]/],
  ['cntrl', /[\x00-\x1f\x7f]/],
  ['digit', /[0-9]/],
  ['graph', /[!-~]/],
  ['lower', /[a-z]/],
  ['print', /[ -~]/],
  ['punct', /[!-/:-@[-`{-~]/],
  ['space', /[ \t\n\r]/],
  ['upper', /[A-Z]/],
  ['xdigit', /[0-9A-Fa-f]/],
]);
