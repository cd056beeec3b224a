import { isGlobSpecial, wildmatch } from './wildmatch.ts';

/** Patterns of one source, ready to be asked about every path below it. */
export interface ExcludeRules {
  /**
   * Whether the path itself is left out. What is below an excluded folder is not asked about: as with git, nothing there
   * can be taken back in.
   *
   * @param path - bytes, relative to the source, no leading slash
   */
  excludes(path: Buffer, isDirectory: boolean): boolean;
}

/**
 * Reads patterns in gitignore syntax; the last that matches decides. They are UTF-8 text, matched as bytes, with
 * case. Pure.
 *
 * @returns undefined if nothing can ever be excluded
 */
export function parseExcludeRules(patterns: readonly string[]): ExcludeRules | undefined {
  const rules = patterns.map(parseRule).filter((rule) => rule !== undefined);
  if (!rules.some((rule) => !rule.isNegated)) return undefined;
  const latestFirst = rules.reverse();
  return {
    excludes: (path, isDirectory) => {
      const name = path.subarray(path.lastIndexOf(SLASH) + 1);
      for (const rule of latestFirst) {
        if (rule.onlyDirectories && !isDirectory) continue;
        if (rule.matches(rule.byName ? name : path)) return !rule.isNegated;
      }
      return false;
    },
  };
}

interface Rule {
  readonly isNegated: boolean;
  readonly onlyDirectories: boolean;
  /** A pattern without a slash looks at the last component alone. */
  readonly byName: boolean;
  matches(subject: Buffer): boolean;
}

const SLASH = 0x2f;
const STAR = 0x2a;

function parseRule(line: string): Rule | undefined {
  let text = trimTrailingSpaces(line);
  if (text.startsWith('#')) return undefined;
  const isNegated = text.startsWith('!');
  if (isNegated) text = text.slice(1);
  const onlyDirectories = text.endsWith('/');
  if (onlyDirectories) text = text.slice(0, -1);
  if (text === '') return undefined;
  const byName = !text.includes('/');
  const pattern = Buffer.from(!byName && text.startsWith('/') ? text.slice(1) : text);
  return { isNegated, onlyDirectories, byName, matches: matcher(pattern) };
}

/** Unquoted spaces at the end mean nothing. */
function trimTrailingSpaces(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ' && !isQuoted(line, end - 1)) end--;
  return line.slice(0, end);
}

function isQuoted(line: string, at: number): boolean {
  let backslashes = 0;
  while (line[at - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}

/** Most patterns are a plain name or `*.ending`, which need no glob. */
function matcher(pattern: Buffer): (subject: Buffer) => boolean {
  const plainLength = pattern.findIndex(isGlobSpecial);
  if (plainLength < 0) return (subject) => pattern.equals(subject);
  const rest = pattern.subarray(plainLength);
  const ending = pattern.subarray(1);
  if (pattern[0] === STAR && !ending.some(isGlobSpecial) && !ending.includes(SLASH)) {
    return (subject) =>
      subject.length >= ending.length &&
      subject.compare(ending, 0, ending.length, subject.length - ending.length) === 0 &&
      !subject.includes(SLASH);
  }
  // As git does it: the plain beginning is compared, and the glob starts anew behind it, which matters to `a**/b`.
  return (subject) =>
    subject.length >= plainLength &&
    subject.compare(pattern, 0, plainLength, 0, plainLength) === 0 &&
    wildmatch(rest, subject.subarray(plainLength));
}
