import { unescapeName } from '@bakker/command-line';
import { AgentError } from '../errors.ts';
import { isGlobSpecial, wildmatch } from '../source/wildmatch.ts';

/** A path or glob that the operator named, ready to be asked about the paths of a run. */
export interface PathPattern {
  /** As it was given, for messages. */
  readonly text: string;
  /** @param path - bytes, relative to `/` */
  matches(path: Buffer): boolean;
}

/**
 * Reads an absolute path as it was on the server, or a glob (`*`, `?`, `**`, `[…]`) of one. A path that has exactly these
 * bytes matches too, and so does one that bakker prints so: `\xff` stands for that byte, `\n` for a line feed. Pure.
 *
 * @throws AgentError USAGE if it is not absolute or has `..` in it
 */
export function parsePathPattern(text: string): PathPattern {
  const relative = relativeText(text);
  const literals = literalPaths(text);
  const glob = Buffer.from(relative);
  const isGlob = glob.some(isGlobSpecial);
  return {
    text,
    matches: (path) =>
      literals.some((literal) => literal.equals(path)) ||
      (isGlob && wildmatch(glob, path)) ||
      relative === '',
  };
}

/**
 * The bytes, relative to `/`, that an absolute path may stand for: its own, and those that its escapes (`\\xff`, `\\n`) say.
 *
 * @throws AgentError USAGE
 */
export function literalPaths(text: string): readonly Buffer[] {
  const relative = relativeText(text);
  const own = Buffer.from(relative);
  const plain = unescapeName(relative);
  return plain.equals(own) ? [own] : [own, plain];
}

function relativeText(text: string): string {
  const components = text.split('/').filter((component) => component !== '' && component !== '.');
  if (!text.startsWith('/') || components.includes('..')) {
    const what = text.startsWith('/') ? 'has a ".." in it' : 'is no absolute path';
    throw new AgentError('USAGE', `${JSON.stringify(text)} ${what}`, {
      hint: 'name paths as they were on the server: /etc/passwd, /home, "/var/log/*.log"',
    });
  }
  return components.join('/');
}
