import { escapeText } from '@bakker/command-line';
import type { SourceRules } from '../ports/source-tree.ts';
import { showPath } from './show-path.ts';

/** A pattern that repeats its source's path, which is relative to the source and so finds nothing there; as shown to people. */
export interface MisplacedPattern {
  readonly pattern: string;
  readonly source: string;
  /** The pattern that means what was most likely meant. */
  readonly better: string;
}

/**
 * Other programs want absolute paths among their excludes; here these are silently no such thing. A source that has its own path
 * once more below it may mean what it says.
 *
 * @param hasFolder - whether there is a folder at an absolute path
 */
export function misplacedPatterns(
  sources: readonly SourceRules[],
  hasFolder: (path: Buffer) => boolean,
): readonly MisplacedPattern[] {
  return sources.flatMap(({ path, excludes }) => {
    if (path.length === 1) return [];
    const start = `${path.toString()}/`;
    const found = excludes.filter((pattern) => pattern.startsWith(start) && pattern.length > start.length);
    if (found.length === 0 || hasFolder(Buffer.concat([path, path]))) return [];
    return found.map((pattern) => ({
      pattern: escapeText(pattern),
      source: showPath(path),
      better: escapeText(pattern.slice(start.length - 1)),
    }));
  });
}

export function describeMisplaced({ pattern, source }: MisplacedPattern): string {
  return `exclude "${pattern}" leaves nothing out: patterns are relative to the source, and in ${source} it means ${source}${pattern}`;
}

export function adviseMisplaced({ source, better }: MisplacedPattern): string {
  return `write "${better}", in the source's own exclude: ({ path: ${source}, exclude: [${better}] }) if it is to hold there alone`;
}
