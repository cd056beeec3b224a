import { LineCounter, isMap, isScalar, parseDocument } from 'yaml';
import type { Node } from 'yaml';

export interface Problem {
  readonly line: number;
  readonly text: string;
}

/** The keys of one section, with their values as they are written. */
export interface Section<Key extends string> {
  /** Undefined if the key is not there; a list or map, complained of already, is as if it were not. */
  value(key: Key): string | number | boolean | undefined;
  /** Adds a problem with the section, or with one of its keys. */
  complain(text: string, key?: Key): void;
}

type Sections<Keys extends Readonly<Record<string, readonly string[]>>> = {
  readonly [Name in keyof Keys]: Section<Keys[Name][number]>;
};

/**
 * Reads YAML that is a map of sections, each a map of keys to plain values. Unknown names, wrong shapes and syntax errors
 * are put into `problems`, which grows by `complain` as well.
 *
 * @param keys - the names of the sections, and of the keys in each
 * @param nearest - the name that was most likely meant
 */
export function readSections<Keys extends Readonly<Record<string, readonly string[]>>>(
  text: string,
  keys: Keys,
  nearest: (word: string, names: Iterable<string>) => string | undefined,
): { sections: Sections<Keys>; problems: Problem[] } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const problems: Problem[] = [...document.errors, ...document.warnings].map(({ pos, code, message }) => ({
    line: lineCounter.linePos(pos[0]).line,
    text:
      code === 'DUPLICATE_KEY' ? 'the same key is there twice' : `not valid YAML: ${message.split('\n')[0]}`,
  }));
  // After a syntax error, complaints would be of things that are there.
  const isReadable = problems.length === 0;

  const entriesOf = (node: Node | null, place: string, line: number, known: readonly string[]): Entries => {
    const found: Entries = new Map();
    if (!isReadable || isEmpty(node)) return found;
    if (!isMap<Node, Node | null>(node)) {
      problems.push({ line, text: `${place === '' ? 'the file' : place} must be "key: value" lines` });
      return found;
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : String(key);
      const shown = place === '' ? name : `${place}.${name}`;
      const keyLine = key.range ? lineCounter.linePos(key.range[0]).line : line;
      if (known.includes(name)) {
        found.set(name, { node: value, line: keyLine });
        continue;
      }
      const meant = nearest(name, known);
      const hint = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
      problems.push({ line: keyLine, text: `${shown}: unknown key; ${hint}` });
    }
    return found;
  };

  const root = entriesOf(document.contents, '', 1, Object.keys(keys));
  const sectionOf = (name: string): Section<string> => {
    const place = root.get(name);
    const line = place?.line ?? 1;
    const entries = entriesOf(place?.node ?? null, name, line, keys[name] ?? []);
    const values = new Map<string, string | number | boolean>();
    for (const [key, entry] of entries) {
      const value: unknown = isScalar(entry.node) ? entry.node.value : undefined;
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
        values.set(key, value);
      else problems.push({ line: entry.line, text: `${name}.${key}: must be one plain value` });
    }
    return {
      value: (key) => values.get(key),
      complain(problem, key) {
        const at = key === undefined ? undefined : entries.get(key)?.line;
        problems.push({
          line: at ?? line,
          text: `${key === undefined ? name : `${name}.${key}`}: ${problem}`,
        });
      },
    };
  };
  const sections = Object.fromEntries(Object.keys(keys).map((name) => [name, sectionOf(name)]));
  return { sections: sections as Sections<Keys>, problems };
}

type Entries = Map<string, { readonly node: Node | null; readonly line: number }>;

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && (node.value === null || node.value === undefined));
}
