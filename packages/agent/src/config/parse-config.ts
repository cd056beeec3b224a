import { AgentError } from '../errors.ts';
import { parseAccountAddress } from './account-address.ts';
import type { AccountAddress, Config, RetentionSettings, SourceSettings, SshSettings } from './config.ts';
import { DEFAULTS } from './defaults.ts';
import { parseDurationMs } from './durations.ts';
import { readYaml } from './yaml-reader.ts';
import type { ConfigProblem, YamlValue } from './yaml-reader.ts';

/** Every key of the file, at its top. */
export const CONFIG_KEYS = [
  'account',
  'identity',
  'host-key',
  'transport',
  'ssh-options',
  'channels',
  'sources',
  'exclude',
  'one-file-system',
  'markers',
  'interval',
  'retention',
  'freeze-when-gone',
] as const;
export const SOURCE_KEYS = ['path', 'exclude', 'one-file-system', 'markers'] as const;
export const RETENTION_KEYS = ['days', 'instances', 'months', 'years'] as const;

type Given = Partial<Record<(typeof CONFIG_KEYS)[number], YamlValue>>;

/**
 * Reads a configuration file (docs/configuration.md).
 *
 * @param file - its name, for messages
 * @returns deeply frozen
 * @throws AgentError CONFIG_INVALID listing every problem with its line
 */
export function parseConfig(text: string, file: string): Config {
  const { root, problems } = readYaml(text);
  // Reading on after a syntax error would only complain of things that are there.
  if (problems.length > 0) throw listing(file, problems);
  const given: Given = root.entries(CONFIG_KEYS) ?? {};
  const account = readAccount(given, root);
  const config: Config = {
    file,
    account: account ?? { kind: 'local', folder: '/' },
    ssh: readSsh(given),
    sources: readSources(given, root),
    excludes: readStrings(given.exclude),
    minIntervalMs: readInterval(given.interval),
    retention: readRetention(given.retention),
    freezeGoneShare: readShare(given['freeze-when-gone']),
  };
  if (problems.length > 0) throw listing(file, problems);
  return deepFreeze(config);
}

function listing(file: string, problems: readonly ConfigProblem[]): AgentError {
  const sorted = problems.toSorted((a, b) => a.line - b.line);
  const count = sorted.length === 1 ? 'a problem' : `${sorted.length} problems`;
  const lines = sorted.map(({ line, text }) => `  line ${line}: ${text}`);
  return new AgentError('CONFIG_INVALID', `${file} has ${count}:\n${lines.join('\n')}`, {
    hint: 'correct the file; docs/configuration.md describes every key',
  });
}

function readAccount(given: Given, root: YamlValue): AccountAddress | undefined {
  if (given.account === undefined) {
    root.complain('account is missing: where should the runs go?');
    return undefined;
  }
  const text = readString(given.account);
  if (text === undefined) return undefined;
  try {
    return parseAccountAddress(text);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    given.account.complain(error.hint === undefined ? error.message : `${error.message}; ${error.hint}`);
    return undefined;
  }
}

function readSsh(given: Given): SshSettings {
  const transport = readChoice(given.transport, ['ssh2', 'openssh']) ?? DEFAULTS.transport;
  const sshOptions = readStrings(given['ssh-options']);
  if (sshOptions.length > 0 && transport !== 'openssh') {
    given['ssh-options']?.complain('only used with "transport: openssh"');
  }
  const hostKey = readOptional(given['host-key']);
  if (hostKey !== undefined && !/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(hostKey)) {
    given['host-key']?.complain(
      'must be a fingerprint as ssh-keygen -l prints it: SHA256: and 43 characters',
    );
  }
  return {
    transport,
    identityFile: readAbsolute(given.identity),
    hostKey: hostKey?.replace(/=$/, ''),
    sshOptions,
    channels: readChannels(given.channels),
  };
}

function readChannels(value: YamlValue | undefined): number | 'auto' {
  if (value === undefined || value.scalar === 'auto') return DEFAULTS.channels;
  return readCount(value, 1, 16, 'must be auto or a whole number from 1 to 16') ?? DEFAULTS.channels;
}

function readSources(given: Given, root: YamlValue): SourceSettings[] {
  if (given.sources === undefined) {
    root.complain('sources is missing: which folders should be backed up?');
    return [];
  }
  const oneFilesystem = readFlag(given['one-file-system']) ?? DEFAULTS.oneFilesystem;
  const honourMarkers = readFlag(given.markers) ?? DEFAULTS.honourMarkers;
  const items = given.sources.items();
  if (items?.length === 0) given.sources.complain('the list is empty: which folders should be backed up?');
  const sources: SourceSettings[] = [];
  for (const item of items ?? []) {
    const keys = item.isMap ? item.entries(SOURCE_KEYS) : { path: item };
    if (item.isMap && keys?.path === undefined) item.complain('path is missing');
    const path = readAbsolute(keys?.path);
    if (path === undefined) continue;
    if (sources.some((source) => source.path === path)) item.complain(`${path} is listed twice`);
    sources.push({
      path,
      excludes: readStrings(keys?.exclude),
      oneFilesystem: readFlag(keys?.['one-file-system']) ?? oneFilesystem,
      honourMarkers: readFlag(keys?.markers) ?? honourMarkers,
    });
  }
  return sources;
}

function readInterval(value: YamlValue | undefined): number {
  const intervalMs = parseDurationMs(value === undefined ? DEFAULTS.interval : value.scalar);
  if (intervalMs === undefined) value?.complain('must be a time such as 20h, 90m or 1d, or 0 for none');
  return intervalMs ?? 0;
}

function readRetention(value: YamlValue | undefined): RetentionSettings {
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

function readShare(value: YamlValue | undefined): number {
  const text: unknown = value === undefined ? DEFAULTS.freezeWhenGone : value.scalar;
  const match = typeof text === 'string' ? /^([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%$/.exec(text.trim()) : null;
  const share = match === null ? NaN : Number(match[1]) / 100;
  if (share >= 0 && share <= 1) return share;
  value?.complain('must be a share such as 50%, from 0% to 100%');
  return 0;
}

function readString(value: YamlValue): string | undefined {
  const { scalar } = value;
  if (typeof scalar === 'string' && scalar !== '' && !scalar.includes('\0')) return scalar;
  value.complain(value.isEmpty || scalar === '' ? 'nothing is written after it' : 'must be a text');
  return undefined;
}

function readOptional(value: YamlValue | undefined): string | undefined {
  return value === undefined ? undefined : readString(value);
}

function readAbsolute(value: YamlValue | undefined): string | undefined {
  const path = readOptional(value);
  if (path === undefined || path.startsWith('/')) return path;
  const home = path.startsWith('~') ? ': ~ is not expanded, since a timer has no home' : '';
  value?.complain(`${path} must be an absolute path${home}`);
  return undefined;
}

function readStrings(value: YamlValue | undefined): string[] {
  if (value === undefined) return [];
  const texts: string[] = [];
  for (const item of value.items() ?? []) {
    const text = readString(item);
    if (text !== undefined) texts.push(text);
  }
  return texts;
}

function readFlag(value: YamlValue | undefined): boolean | undefined {
  if (value === undefined || typeof value.scalar === 'boolean') return value?.scalar as boolean | undefined;
  value.complain('must be true or false');
  return undefined;
}

function readChoice<Choice extends string>(
  value: YamlValue | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined) return undefined;
  const choice = choices.find((candidate) => candidate === value.scalar);
  if (choice === undefined) value.complain(`must be ${choices.join(' or ')}`);
  return choice;
}

function readCount(value: YamlValue, least: number, most: number, complaint: string): number | undefined {
  const { scalar } = value;
  if (typeof scalar === 'number' && Number.isInteger(scalar) && scalar >= least && scalar <= most)
    return scalar;
  value.complain(complaint);
  return undefined;
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
