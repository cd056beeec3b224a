import { AgentError } from '../errors.ts';
import type { RetentionSettings, SourceSettings } from './config.ts';
import { DEFAULTS } from './defaults.ts';
import { parseDurationMs } from './durations.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { SnapshotSettings } from './snapshot-settings.ts';
import type { ConfigProblem, YamlValue } from './yaml-reader.ts';

export const SOURCE_KEYS = ['path', 'exclude', 'one-file-system', 'markers', 'snapshot'] as const;
/** How this machine freezes its volumes is not for a storage to say. */
const KEYS_FROM_STORAGE = SOURCE_KEYS.filter((key) => key !== 'snapshot');
export const RETENTION_KEYS = ['days', 'instances', 'months', 'years'] as const;

/** Every problem of a file, with its line. */
export function listing(file: string, problems: readonly ConfigProblem[]): AgentError {
  const sorted = problems.toSorted((a, b) => a.line - b.line);
  const count = sorted.length === 1 ? 'a problem' : `${sorted.length} problems`;
  const lines = sorted.map(({ line, text }) => `  line ${line}: ${text}`);
  return new AgentError('CONFIG_INVALID', `${file} has ${count}:\n${lines.join('\n')}`, {
    hint: 'correct the file; docs/configuration.md describes every key',
  });
}

/** @param standard - for what a source leaves out; without `snapshot`, a source may not choose one */
export function readSources(
  value: YamlValue,
  standard: { oneFilesystem: boolean; honourMarkers: boolean; snapshot?: SnapshotSettings },
): SourceSettings[] {
  const items = value.items();
  if (items?.length === 0) value.complain('the list is empty: which folders should be backed up?');
  const sources: SourceSettings[] = [];
  for (const item of items ?? []) {
    const known: readonly (typeof SOURCE_KEYS)[number][] =
      standard.snapshot === undefined ? KEYS_FROM_STORAGE : SOURCE_KEYS;
    const keys = item.isMap ? item.entries(known) : { path: item };
    if (item.isMap && keys?.path === undefined) item.complain('path is missing');
    const path = readAbsolute(keys?.path);
    if (path === undefined) continue;
    if (sources.some((source) => source.path === path)) item.complain(`${path} is listed twice`);
    sources.push({
      path,
      excludes: readStrings(keys?.exclude),
      oneFilesystem: readFlag(keys?.['one-file-system']) ?? standard.oneFilesystem,
      honourMarkers: readFlag(keys?.markers) ?? standard.honourMarkers,
      ...(keys?.snapshot === undefined || standard.snapshot === undefined
        ? {}
        : { snapshot: readSnapshot(keys.snapshot, standard.snapshot) }),
    });
  }
  return sources;
}

export function readInterval(value: YamlValue | undefined): number {
  const intervalMs = parseDurationMs(value === undefined ? DEFAULTS.interval : value.scalar);
  if (intervalMs === undefined) value?.complain('must be a time such as 20h, 90m or 1d, or 0 for none');
  return intervalMs ?? 0;
}

export function readRetention(value: YamlValue | undefined): RetentionSettings {
  const keys = value?.entries(RETENTION_KEYS) ?? {};
  const count = (key: (typeof RETENTION_KEYS)[number]): number => {
    const given = keys[key];
    if (given === undefined) return DEFAULTS.retention[key];
    return readCount(given, 0, 100_000, 'must be a whole number from 0 to 100000') ?? 0;
  };
  const before = {
    days: count('days'),
    instances: count('instances'),
    months: count('months'),
    years: count('years'),
  };
  if (value !== undefined && Object.values(keys).length > 0 && Object.values(before).every((n) => n === 0)) {
    value.complain('would keep nothing: give at least one of days, instances, months and years');
  }
  return before;
}

export function readString(value: YamlValue): string | undefined {
  const { scalar } = value;
  if (typeof scalar === 'string' && scalar !== '' && !scalar.includes('\0')) return scalar;
  value.complain(value.isEmpty || scalar === '' ? 'nothing is written after it' : 'must be a text');
  return undefined;
}

export function readOptional(value: YamlValue | undefined): string | undefined {
  return value === undefined ? undefined : readString(value);
}

export function readAbsolute(value: YamlValue | undefined): string | undefined {
  const path = readOptional(value);
  if (path === undefined || path.startsWith('/')) return path;
  const home = path.startsWith('~') ? ': ~ is not expanded, since a timer has no home' : '';
  value?.complain(`${path} must be an absolute path${home}`);
  return undefined;
}

export function readStrings(value: YamlValue | undefined): string[] {
  if (value === undefined) return [];
  const texts: string[] = [];
  for (const item of value.items() ?? []) {
    const text = readString(item);
    if (text !== undefined) texts.push(text);
  }
  return texts;
}

export function readFlag(value: YamlValue | undefined): boolean | undefined {
  if (value === undefined || typeof value.scalar === 'boolean') return value?.scalar as boolean | undefined;
  value.complain('must be true or false');
  return undefined;
}

export function readCount(
  value: YamlValue,
  least: number,
  most: number,
  complaint: string,
): number | undefined {
  const { scalar } = value;
  if (typeof scalar === 'number' && Number.isInteger(scalar) && scalar >= least && scalar <= most)
    return scalar;
  value.complain(complaint);
  return undefined;
}

export function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** One of `choices`; undefined where none is given, or after a complaint. */
export function readChoice<Choice extends string>(
  value: YamlValue | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined) return undefined;
  const choice = choices.find((candidate) => candidate === value.scalar);
  if (choice === undefined) value.complain(`must be ${choices.join(' or ')}`);
  return choice;
}
