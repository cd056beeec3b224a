import { parseDurationMs } from './durations.ts';
import { readAbsolute, readChoice, readOptional, readString, readStrings } from './read-values.ts';
import { readLogin } from './read-login.ts';
import type { CommandSettings, KindSettings, ServiceSettings } from './service-settings.ts';
import { parseSizeBytes } from './sizes.ts';
import type { YamlValue } from './yaml-reader.ts';

/** Names become names of files. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const LOGIN_KEYS = [
  'user',
  'login',
  'password-file',
  'credential',
  'password-env',
  'socket',
  'host',
  'port',
] as const;

type Keys = Readonly<Partial<Record<string, YamlValue>>>;
type Kind = KindSettings['kind'];

interface KindRules {
  readonly keys: readonly string[];
  /** Time limit where none is given. */
  readonly timeout: string;
  /** Undefined after a complaint. */
  read(keys: Keys, value: YamlValue): KindSettings | undefined;
}

const QUICK = '30s';
/** A dump reads all of a database. */
const LONG = '2h';

const KINDS: Readonly<Record<Kind, KindRules>> = {
  command: { keys: ['enter', 'leave', 'user'], timeout: QUICK, read: readCommand },
  systemd: {
    keys: ['units', 'by'],
    timeout: '90s', // as long as systemd itself waits
    read: (keys, value) => ({
      kind: 'systemd',
      units: readUnits(keys['units'], value),
      by: readChoice(keys['by'], ['stop', 'freeze']) ?? 'stop',
    }),
  },
  nextcloud: {
    keys: ['path', 'user', 'php'],
    timeout: QUICK,
    read: (keys, value) => ({
      kind: 'nextcloud',
      path: required(keys['path'], value, 'path', readAbsolute) ?? '/',
      user: readWord(keys['user']) ?? 'www-data',
      php: readWord(keys['php']) ?? 'php',
    }),
  },
  mariadb: {
    keys: ['by', ...LOGIN_KEYS],
    timeout: QUICK,
    read: (keys) => ({
      kind: 'mariadb',
      by: readChoice(keys['by'], ['backup-stage', 'read-lock']) ?? 'backup-stage',
      login: readLogin(keys),
    }),
  },
  mysql: {
    keys: LOGIN_KEYS,
    timeout: QUICK,
    read: (keys) => ({ kind: 'mysql', by: 'read-lock', login: readLogin(keys) }),
  },
  postgresql: {
    keys: ['by', ...LOGIN_KEYS],
    timeout: '5m', // a checkpoint writes all that changed in memory
    read: (keys) => ({
      kind: 'postgresql',
      by: readChoice(keys['by'], ['checkpoint', 'backup-mode']) ?? 'checkpoint',
      login: readLogin(keys, { localUser: 'postgres' }),
    }),
  },
  sqlite: {
    keys: ['files'],
    timeout: QUICK,
    read: (keys, value) => ({ kind: 'sqlite', files: readFiles(keys['files'], value) }),
  },
  redis: {
    keys: ['by', ...LOGIN_KEYS],
    timeout: '5m',
    read: (keys) => ({
      kind: 'redis',
      by: readChoice(keys['by'], ['bgsave', 'save']) ?? 'bgsave',
      login: readLogin(keys),
    }),
  },
  'mariadb-dump': {
    keys: ['databases', ...LOGIN_KEYS],
    timeout: LONG,
    read: (keys) => ({
      kind: 'mariadb-dump',
      databases: readStrings(keys['databases']),
      login: readLogin(keys),
    }),
  },
  'mysql-dump': {
    keys: ['databases', ...LOGIN_KEYS],
    timeout: LONG,
    read: (keys) => ({
      kind: 'mysql-dump',
      databases: readStrings(keys['databases']),
      login: readLogin(keys),
    }),
  },
  'postgresql-dump': {
    keys: ['database', ...LOGIN_KEYS],
    timeout: LONG,
    read: (keys) => ({
      kind: 'postgresql-dump',
      database: readOptional(keys['database']),
      login: readLogin(keys, { localUser: 'postgres' }),
    }),
  },
  'sqlite-dump': {
    keys: ['file', 'max-size'],
    timeout: LONG,
    read: (keys, value) => ({
      kind: 'sqlite-dump',
      file: required(keys['file'], value, 'file', readAbsolute) ?? '/',
      maxSizeBytes: readSize(keys['max-size']),
    }),
  },
};

export const SERVICE_KINDS: readonly Kind[] = Object.keys(KINDS).filter(
  (word): word is Kind => word in KINDS,
);

/** Reads `services`: a list of maps with a name and one kind each. */
export function readServices(value: YamlValue | undefined): ServiceSettings[] {
  const services: ServiceSettings[] = [];
  for (const item of value?.items() ?? []) {
    const service = readService(item);
    if (service === undefined) continue;
    if (services.some(({ name }) => name === service.name)) item.complain(`${service.name} is listed twice`);
    services.push(service);
  }
  return services;
}

/** Reads `window`. */
export function readWindow(value: YamlValue | undefined, standard: string): number {
  return readTime(value, standard);
}

function readService(item: YamlValue): ServiceSettings | undefined {
  const keys = item.entries(['name', 'timeout', ...SERVICE_KINDS]);
  if (keys === undefined) return undefined;
  const name = required(keys.name, item, 'name', readName);
  const [kind, second] = SERVICE_KINDS.filter((candidate) => keys[candidate] !== undefined);
  if (kind === undefined || second !== undefined) {
    item.complain(`needs exactly one of ${SERVICE_KINDS.join(', ')}`);
    return undefined;
  }
  const rules = KINDS[kind];
  const value = keys[kind] ?? item;
  const own = value.isEmpty ? {} : value.entries(rules.keys);
  const settings = own && rules.read(own, value);
  const timeoutMs = readTime(keys.timeout, rules.timeout);
  if (name === undefined || settings === undefined) return undefined;
  return { name, timeoutMs, ...settings };
}

function readCommand(keys: Keys, value: YamlValue): CommandSettings | undefined {
  const enter = required(keys['enter'], value, 'enter', readWords);
  const leave = keys['leave'] === undefined ? undefined : readWords(keys['leave']);
  if (enter === undefined) return undefined;
  return { kind: 'command', enter, leave, user: readWord(keys['user']) };
}

/** A list of words, or `{ shell: text }`. */
function readWords(value: YamlValue): readonly string[] | undefined {
  if (value.isMap) {
    const { shell } = value.entries(['shell']) ?? {};
    const text = required(shell, value, 'shell', readString);
    return text === undefined ? undefined : ['/bin/sh', '-c', text];
  }
  if (typeof value.scalar === 'string') {
    value.complain('must be a list of words ([systemctl, stop, web]), or { shell: … } for a line of shell');
    return undefined;
  }
  const words = readStrings(value);
  if (words.length > 0) return words;
  value.complain('the list is empty: which command should run?');
  return undefined;
}

function readUnits(value: YamlValue | undefined, parent: YamlValue): readonly string[] {
  const units = required(value, parent, 'units', readSome) ?? [];
  const wrong = units.find((unit) => !/^[A-Za-z0-9][A-Za-z0-9:_.@\\-]*$/.test(unit));
  if (wrong !== undefined) value?.complain(`${wrong} is no name of a unit`);
  return units.map((unit) => (/\.[a-z]+$/.test(unit) ? unit : `${unit}.service`));
}

function readFiles(value: YamlValue | undefined, parent: YamlValue): readonly string[] {
  const files = required(value, parent, 'files', readSome) ?? [];
  const wrong = files.find((file) => !file.startsWith('/'));
  if (wrong !== undefined) value?.complain(`${wrong} must be an absolute path`);
  return files;
}

function readSome(value: YamlValue): readonly string[] {
  const texts = readStrings(value);
  if (value.items()?.length === 0) value.complain('the list is empty');
  return texts;
}

function readName(value: YamlValue): string | undefined {
  const name = readString(value);
  if (name === undefined || NAME.test(name)) return name;
  value.complain('must be made of letters, digits, - and _, since files are named after it');
  return undefined;
}

/** A user or a program: nothing that a command could take for an option. */
function readWord(value: YamlValue | undefined): string | undefined {
  const word = readOptional(value);
  if (word === undefined || !/^-|[\s:]/.test(word)) return word;
  value?.complain(`${word} can't be meant`);
  return undefined;
}

function readSize(value: YamlValue | undefined): number {
  const bytes = value === undefined ? 2 ** 30 : parseSizeBytes(String(value.scalar ?? ''));
  if (bytes === undefined) value?.complain('must be a size such as 500M or 2G');
  return bytes ?? 0;
}

function readTime(value: YamlValue | undefined, standard: string): number {
  const timeMs = parseDurationMs(value === undefined ? standard : value.scalar);
  // a timer of Node.js holds no more than 24 days
  if (timeMs !== undefined && timeMs > 0 && timeMs < 2 ** 31) return timeMs;
  value?.complain('must be a time such as 30s, 5m or 2h');
  return 1;
}

function required<Value>(
  value: YamlValue | undefined,
  parent: YamlValue,
  key: string,
  read: (value: YamlValue) => Value,
): Value | undefined {
  if (value !== undefined) return read(value);
  parent.complain(`${key} is missing`);
  return undefined;
}
