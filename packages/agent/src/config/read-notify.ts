import { parseDurationMs } from './durations.ts';
import { NOBODY_TOLD, NOTIFY_EVENTS } from './notify-settings.ts';
import type {
  HookSettings,
  MailSettings,
  NotifyEvent,
  NotifySettings,
  NtfySettings,
  PingSettings,
  PrometheusSettings,
  RequestLimits,
} from './notify-settings.ts';
import { readAbsolute, readCount, readOptional, readString, readStrings } from './read-values.ts';
import type { SecretSource } from './service-settings.ts';
import type { YamlValue } from './yaml-reader.ts';

const KEYS = ['hooks', 'ping', 'mail', 'ntfy', 'prometheus'] as const;
const BAD_NEWS: readonly NotifyEvent[] = ['partial', 'failure'];
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** What no address needs and a header or an option could be made of. */
const ADDRESS = /^(?!-)[^\s\0-\x1f\x7f,;:<>()[\]"\\]+$/;

/** Reads `notify`. */
export function readNotify(value: YamlValue | undefined): NotifySettings {
  if (value === undefined || value.isEmpty) return NOBODY_TOLD;
  const keys = value.entries(KEYS) ?? {};
  return {
    hooks: readHooks(keys.hooks),
    ping: keys.ping && readPing(keys.ping),
    mail: keys.mail && readMail(keys.mail),
    ntfy: keys.ntfy && readNtfy(keys.ntfy),
    prometheus: keys.prometheus && readPrometheus(keys.prometheus),
  };
}

function readHooks(value: YamlValue | undefined): HookSettings[] {
  const hooks: HookSettings[] = [];
  for (const item of value?.items() ?? []) {
    const keys = item.entries(['name', 'on', 'run', 'user', 'timeout']);
    if (keys === undefined) continue;
    const name = keys.name === undefined ? `hook ${hooks.length + 1}` : readName(keys.name);
    if (keys.run === undefined) item.complain('run is missing: which command?');
    const argv = keys.run && readWords(keys.run);
    const on = readEvents(keys.on, NOTIFY_EVENTS);
    const [user, timeoutMs] = [readUser(keys.user), readTime(keys.timeout, '30s')];
    if (name === undefined || argv === undefined) continue;
    if (hooks.some((hook) => hook.name === name)) item.complain(`${name} is listed twice`);
    hooks.push({ name, on, argv, user, timeoutMs });
  }
  return hooks;
}

function readPing(value: YamlValue): PingSettings | undefined {
  if (!value.isMap) return { url: readUrl(value) ?? '', ...readLimits({}) };
  const keys = value.entries(['url', 'url-file', 'credential', 'timeout', 'retries']);
  if (keys === undefined) return undefined;
  const secret = readSecret(keys['url-file'], keys.credential);
  if ((keys.url === undefined) === (secret === undefined))
    value.complain('needs exactly one of url, url-file and credential');
  const url = keys.url === undefined ? secret : readUrl(keys.url);
  return url === undefined ? undefined : { url, ...readLimits(keys) };
}

function readMail(value: YamlValue): MailSettings | undefined {
  const keys = value.isMap ? value.entries(['to', 'from', 'on', 'program', 'timeout']) : { to: value };
  if (keys === undefined) return undefined;
  if (keys.to === undefined) value.complain('to is missing: who should be told?');
  const from = keys.from && readString(keys.from);
  if (from !== undefined && !ADDRESS.test(from)) keys.from?.complain(`${JSON.stringify(from)} is no address`);
  return {
    on: readEvents(keys.on, BAD_NEWS),
    to: keys.to === undefined ? [] : readAddresses(keys.to),
    from,
    program: readAbsolute(keys.program) ?? '/usr/sbin/sendmail',
    timeoutMs: readTime(keys.timeout, '30s'),
  };
}

function readNtfy(value: YamlValue): NtfySettings | undefined {
  const keys = value.entries(['url', 'topic', 'token-file', 'credential', 'on', 'timeout', 'retries']);
  if (keys === undefined) return undefined;
  if (keys.topic === undefined) value.complain('topic is missing');
  const topic = keys.topic && readString(keys.topic);
  if (topic !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(topic))
    keys.topic?.complain('must be made of letters, digits, - and _, at most 64');
  return {
    on: readEvents(keys.on, BAD_NEWS),
    url: (keys.url === undefined ? undefined : readUrl(keys.url)) ?? 'https://ntfy.sh',
    topic: topic ?? '',
    token: readSecret(keys['token-file'], keys.credential),
    ...readLimits(keys),
  };
}

function readPrometheus(value: YamlValue): PrometheusSettings | undefined {
  const file = readAbsolute(value.isMap ? value.entries(['file'])?.file : value);
  if (value.isMap && file === undefined) value.complain('file is missing');
  if (file === undefined) return undefined;
  if (!/\/[^/]+\.prom$/.test(file))
    value.complain('must be a file that ends with .prom: others are not read');
  return { file };
}

function readEvents(value: YamlValue | undefined, standard: readonly NotifyEvent[]): readonly NotifyEvent[] {
  if (value === undefined) return standard;
  const events: NotifyEvent[] = [];
  for (const item of value.items() ?? []) {
    const event = NOTIFY_EVENTS.find((candidate) => candidate === item.scalar);
    if (event === undefined) item.complain(`must be one of ${NOTIFY_EVENTS.join(', ')}`);
    else events.push(event);
  }
  if (value.items()?.length === 0) value.complain('the list is empty');
  return events;
}

/** A list of words, or `{ shell: text }`. */
function readWords(value: YamlValue): readonly string[] | undefined {
  if (value.isMap) {
    const { shell } = value.entries(['shell']) ?? {};
    if (shell === undefined) value.complain('shell is missing');
    const text = shell && readString(shell);
    return text === undefined ? undefined : ['/bin/sh', '-c', text];
  }
  if (typeof value.scalar === 'string') {
    value.complain('must be a list of words ([logger, backup]), or { shell: … } for a line of shell');
    return undefined;
  }
  const words = readStrings(value);
  if (words.length > 0) return words;
  value.complain('the list is empty: which command should run?');
  return undefined;
}

/** Only what can't carry a password where every process list or log shows it. */
function readUrl(value: YamlValue): string | undefined {
  const text = readString(value);
  if (text === undefined) return undefined;
  const url = parseHttpUrl(text);
  if (url === undefined) value.complain('must be a URL that begins with https:// or http://');
  else if (url.username !== '' || url.password !== '') value.complain('has a password in it; leave it out');
  else if (url.hash !== '') value.complain('has a # in it, which no server gets to see');
  return text;
}

/** Undefined for anything else. */
export function parseHttpUrl(text: string): URL | undefined {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
}

function readSecret(
  file: YamlValue | undefined,
  credential: YamlValue | undefined,
): SecretSource | undefined {
  const [path, name] = [readAbsolute(file), readOptional(credential)];
  if (file !== undefined && credential !== undefined)
    credential.complain('give either a file or a credential');
  if (name !== undefined && !/^[A-Za-z0-9][\w.-]*$/.test(name))
    credential?.complain('must be a name, not a path');
  if (path !== undefined) return { from: 'file', file: path };
  return name === undefined ? undefined : { from: 'credential', name };
}

function readLimits(keys: { timeout?: YamlValue; retries?: YamlValue }): RequestLimits {
  const retries = keys.retries && readCount(keys.retries, 0, 10, 'must be a whole number from 0 to 10');
  return { timeoutMs: readTime(keys.timeout, '10s'), retries: retries ?? 2 };
}

function readAddresses(value: YamlValue): readonly string[] {
  const texts = typeof value.scalar === 'string' ? [value.scalar] : readStrings(value);
  if (texts.length === 0) value.complain('names nobody');
  for (const text of texts) if (!ADDRESS.test(text)) value.complain(`${JSON.stringify(text)} is no address`);
  return texts;
}

function readName(value: YamlValue): string | undefined {
  const name = readString(value);
  if (name === undefined || NAME.test(name)) return name;
  value.complain('must be made of letters, digits, - and _');
  return undefined;
}

/** Nothing that a program could take for an option. */
function readUser(value: YamlValue | undefined): string | undefined {
  const word = readOptional(value);
  if (word === undefined || !/^-|[\s:]/.test(word)) return word;
  value?.complain(`${word} can't be meant`);
  return undefined;
}

/** At most ten minutes: a run ends only when everybody was told. */
function readTime(value: YamlValue | undefined, standard: string): number {
  const timeMs = parseDurationMs(value === undefined ? standard : value.scalar);
  if (timeMs !== undefined && timeMs > 0 && timeMs <= 600_000) return timeMs;
  value?.complain('must be a time such as 10s, at most 10m');
  return 1;
}
