import { LineCounter, isAlias, isNode, parseDocument, visit } from 'yaml';
import { StorageError } from '../errors.ts';

const MOST_BYTES = 64 * 1024;
const DURATION = /^[0-9]{1,6}(?:\.[0-9]{1,3})? ?[smhdw]$/;
const RETENTION = ['days', 'instances', 'months', 'years'];
const SOURCE = ['path', 'exclude', 'one-file-system', 'markers'];

/**
 * Checks what an administrator wants the account's server to do: `sources`, `exclude`, `interval` and `retention`, and nothing
 * else. The agent reads it again by its own, equally strict parser, so nothing depends on this but early words.
 *
 * @throws StorageError CONFIG_INVALID listing every problem
 */
export function checkAgentYaml(text: string, file: string): void {
  const problems: string[] = [];
  if (Buffer.byteLength(text) > MOST_BYTES) problems.push(`it is larger than ${MOST_BYTES / 1024} KiB`);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  for (const { message, pos } of [...document.errors, ...document.warnings])
    problems.push(`line ${counter.linePos(pos[0]).line}: ${message.split('\n')[0]}`);
  visit(document, (_key, node) => {
    if (!isNode(node) || (!isAlias(node) && !('anchor' in node && node.anchor !== undefined)))
      return undefined;
    problems.push('anchors and aliases are not taken');
    return visit.BREAK;
  });
  if (problems.length === 0) {
    const content: unknown = document.toJS();
    if (!isRecord(content)) problems.push('it must hold "key: value" lines');
    else for (const [key, value] of Object.entries(content)) problems.push(...problemsOf(key, value));
  }
  if (problems.length === 0) return;
  throw new StorageError(
    'CONFIG_INVALID',
    `${file} is not taken:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    {
      hint: 'sources, exclude, interval and retention may be set for a server; docs/provision.md shows how',
    },
  );
}

function problemsOf(key: string, value: unknown): string[] {
  switch (key) {
    case 'sources':
      if (!Array.isArray(value) || value.length === 0) return ['sources: must be a list that is not empty'];
      return value.flatMap((source: unknown, index) => sourceProblems(source, `sources[${index}]`));
    case 'exclude':
      return isTexts(value) ? [] : ['exclude: must be a list of texts'];
    case 'interval':
      return value === 0 || value === '0' || (typeof value === 'string' && DURATION.test(value.trim()))
        ? []
        : ['interval: must be a time such as 20h, 90m or 1d, or 0'];
    case 'retention':
      return retentionProblems(value);
    default:
      return [`${key}: unknown key; sources, exclude, interval and retention are taken`];
  }
}

function sourceProblems(source: unknown, place: string): string[] {
  if (typeof source === 'string') return isPath(source) ? [] : [`${place}: must be an absolute path`];
  if (!isRecord(source)) return [`${place}: must be a path, or a map that has one`];
  const problems = Object.keys(source)
    .filter((key) => !SOURCE.includes(key))
    .map((key) => `${place}.${key}: unknown key`);
  if (typeof source['path'] !== 'string' || !isPath(source['path']))
    problems.push(`${place}.path: must be an absolute path`);
  if (source['exclude'] !== undefined && !isTexts(source['exclude']))
    problems.push(`${place}.exclude: must be a list of texts`);
  for (const key of ['one-file-system', 'markers'])
    if (source[key] !== undefined && typeof source[key] !== 'boolean')
      problems.push(`${place}.${key}: must be true or false`);
  return problems;
}

function retentionProblems(value: unknown): string[] {
  if (!isRecord(value)) return ['retention: must be a map of days, instances, months and years'];
  const problems: string[] = [];
  for (const [key, count] of Object.entries(value)) {
    if (!RETENTION.includes(key)) problems.push(`retention.${key}: unknown key`);
    else if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > 100_000)
      problems.push(`retention.${key}: must be a whole number from 0 to 100000`);
  }
  const counts = Object.values(value);
  if (problems.length === 0 && counts.length > 0 && counts.every((count) => count === 0))
    problems.push('retention: would keep nothing');
  return problems;
}

function isPath(text: string): boolean {
  return text.startsWith('/') && !text.includes('\0');
}

function isTexts(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((item) => typeof item === 'string' && item !== '' && !item.includes('\0'))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
