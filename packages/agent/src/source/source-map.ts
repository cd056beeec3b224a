import type { SourceRules } from '../ports/source-tree.ts';
import { parseExcludeRules, type ExcludeRules } from './exclude-rules.ts';

/** One source, with its patterns read. */
export interface PlannedSource {
  readonly rules: SourceRules;
  /** Undefined if nothing is excluded. */
  readonly excludes: ExcludeRules | undefined;
  /** Bytes of an entry's path before the part that the patterns look at. */
  readonly prefixBytes: number;
}

/** A folder that is a source, or that leads to one. Names are latin1 strings: one character a byte. */
export interface SourceNode {
  /** Undefined for a folder that is only on the way. */
  source: PlannedSource | undefined;
  readonly below: Map<string, SourceNode>;
}

/**
 * Puts sources that lie in, or on, each other into one tree, so that a walk meets every path once. Of two sources with
 * the same path, the later one's rules hold.
 */
export function mapSources(sources: readonly SourceRules[]): SourceNode {
  const root: SourceNode = { source: undefined, below: new Map() };
  const excludesOf = sharedRules();
  for (const rules of sources) {
    let node = root;
    for (const name of rules.path.toString('latin1').split('/').filter(Boolean)) {
      let next = node.below.get(name);
      if (next === undefined) node.below.set(name, (next = { source: undefined, below: new Map() }));
      node = next;
    }
    const prefixBytes = rules.path.length === 1 ? 0 : rules.path.length; // without the leading slash, with one behind
    node.source = { rules, excludes: excludesOf(rules.excludes), prefixBytes };
  }
  return root;
}

/** Reads the patterns that many sources have, mostly those for all, once. */
function sharedRules(): (patterns: readonly string[]) => ExcludeRules | undefined {
  const known = new Map<string, ExcludeRules | undefined>();
  return (patterns) => {
    const key = JSON.stringify(patterns);
    if (!known.has(key)) known.set(key, parseExcludeRules(patterns));
    return known.get(key);
  };
}
