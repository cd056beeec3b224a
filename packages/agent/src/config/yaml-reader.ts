import { nearestName } from '@bakker/command-line';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Node, Pair } from 'yaml';

/** Something wrong in a configuration file. */
export interface ConfigProblem {
  readonly line: number;
  readonly text: string;
}

/** A value in the file with its place; every complaint about it goes to one list. */
export interface YamlValue {
  /** `retention.days`, `sources[1].path`; empty for the whole file. */
  readonly keyPath: string;
  /** The plain value; undefined for null, lists and maps. */
  readonly scalar: string | number | boolean | undefined;
  /** Whether nothing is written after the key. */
  readonly isEmpty: boolean;
  complain(text: string): void;
  /** The items; undefined, with a complaint, if it is no list. */
  items(): YamlValue[] | undefined;
  readonly isMap: boolean;
  /** The values of known keys; unknown ones are complained of with the nearest known. Undefined if it is no map. */
  entries<Key extends string>(known: readonly Key[]): Partial<Record<Key, YamlValue>> | undefined;
}

/** Reads YAML; `problems` grows while values are looked at. */
export function readYaml(text: string): {
  root: YamlValue;
  problems: ConfigProblem[];
  /** Whether a value stands for another by its name. */
  usesAliases: () => boolean;
} {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: false });
  const problems: ConfigProblem[] = [];
  for (const error of [...document.errors, ...document.warnings]) {
    problems.push({ line: lineCounter.linePos(error.pos[0]).line, text: explain(error.code, error.message) });
  }
  const lineOf = (node: Node | null | undefined, otherwise: number): number =>
    node?.range ? lineCounter.linePos(node.range[0]).line : otherwise;

  const wrap = (given: Node | null, keyPath: string, fallbackLine: number): YamlValue => {
    const line = lineOf(given, fallbackLine);
    const complain = (problem: string): void => {
      problems.push({ line, text: keyPath === '' ? problem : `${keyPath}: ${problem}` });
    };
    const node: Node | null = isAlias(given) ? (given.resolve(document) ?? null) : given;
    const value: unknown = isScalar(node) ? node.value : undefined;
    return {
      keyPath,
      scalar:
        typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
          ? value
          : undefined,
      isEmpty: node === null || (isScalar(node) && (node.value === null || node.value === undefined)),
      isMap: isMap(node),
      complain,
      items() {
        if (isSeq<Node>(node))
          return node.items.map((item, index) => wrap(item, `${keyPath}[${index}]`, line));
        complain('must be a list');
        return undefined;
      },
      entries(known) {
        if (!isMap<Node, Node | null>(node)) {
          complain(
            keyPath === '' ? 'the file must be a list of "key: value" lines' : 'must be a map of keys',
          );
          return undefined;
        }
        const found: Partial<Record<(typeof known)[number], YamlValue>> = {};
        for (const pair of node.items) {
          const name = keyName(pair);
          const keyLine = lineOf(pair.key, line);
          const place = keyPath === '' ? name : `${keyPath}.${name}`;
          const key = known.find((candidate) => candidate === name);
          if (key === undefined) problems.push({ line: keyLine, text: unknownKey(place, name, known) });
          else found[key] = wrap(pair.value, place, keyLine);
        }
        return found;
      },
    };
  };
  return {
    root: wrap(document.contents, '', 1),
    problems,
    usesAliases() {
      let isFound = false;
      visit(document, {
        Alias() {
          isFound = true;
          return visit.BREAK;
        },
      });
      return isFound;
    },
  };
}

function keyName(pair: Pair<Node, Node | null>): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function unknownKey(place: string, name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  if (nearest !== undefined) return `${place}: unknown key; did you mean ${nearest}?`;
  return `${place}: unknown key; known here: ${known.join(', ')}`;
}

function explain(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'the same key is there twice';
  if (code === 'TAB_AS_INDENT') return 'indent with spaces, not with a tab';
  const first = message.split('\n')[0] ?? message;
  return `not valid YAML: ${first}`;
}
