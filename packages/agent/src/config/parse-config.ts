import { AgentError } from '../errors.ts';
import { parseAccountAddress } from './account-address.ts';
import type { AccountAddress, Config, SourceSettings, SshSettings } from './config.ts';
import { DEFAULTS } from './defaults.ts';
import {
  deepFreeze,
  listing,
  readAbsolute,
  readChoice,
  readCount,
  readFlag,
  readInterval,
  readOptional,
  readRetention,
  readSources,
  readString,
  readStrings,
} from './read-values.ts';
import { snapshotUnlessStated } from './freezing.ts';
import { readServices, readWindow } from './parse-services.ts';
import { readBlockChange } from './read-block-change.ts';
import { readEncrypt } from './read-encrypt.ts';
import { LIMIT_KEYS, readLimits } from './read-limits.ts';
import { readNotify } from './read-notify.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { SnapshotSettings } from './snapshot-settings.ts';
import { readYaml } from './yaml-reader.ts';
import type { YamlValue } from './yaml-reader.ts';

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
  'freeze-when-changed',
  'storage-config',
  'encrypt',
  'services',
  'window',
  'snapshot',
  'block-change',
  'notify',
  ...LIMIT_KEYS,
] as const;

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
  const stated = given.snapshot && readSnapshot(given.snapshot, DEFAULTS.snapshot);
  const sources = readOwnSources(given, { root, snapshot: stated ?? DEFAULTS.snapshot });
  const services = readServices(given.services);
  const config: Config = {
    file,
    account: account ?? { kind: 'local', folder: '/' },
    ssh: readSsh(given, { root, account }),
    sources,
    excludes: readStrings(given.exclude),
    minIntervalMs: readInterval(given.interval),
    retention: readRetention(given.retention),
    freezeGoneShare: readShare(given['freeze-when-gone'], DEFAULTS.freezeWhenGone),
    freezeChangedShare: readShare(given['freeze-when-changed'], DEFAULTS.freezeWhenChanged),
    storageConfig: readFlag(given['storage-config']) ?? false,
    encrypt: readEncrypt(given.encrypt),
    stated: CONFIG_KEYS.filter((key) => given[key] !== undefined),
    services,
    windowMs: readWindow(given.window, DEFAULTS.window),
    snapshot: stated ?? snapshotUnlessStated(DEFAULTS.snapshot, { services, sources }),
    blockChangeBytes: readBlockChange(given['block-change']),
    limits: readLimits(given),
    notify: readNotify(given.notify),
  };
  if (problems.length > 0) throw listing(file, problems);
  return deepFreeze(config);
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

function readSsh(
  given: Given,
  { root, account }: { root: YamlValue; account: AccountAddress | undefined },
): SshSettings {
  const stated = readChoice(given.transport, ['ssh2', 'openssh']);
  const transport = stated ?? DEFAULTS.transport;
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
  // beside a transport that there is not, nobody knows what is needed
  const isKnown = given.transport === undefined || stated !== undefined;
  if (account?.kind === 'ssh' && transport === 'ssh2' && isKnown) {
    if (given.identity === undefined)
      root.complain('identity is missing: with which private key file should bakker log in?');
    if (given['host-key'] === undefined)
      root.complain('host-key is missing: which fingerprint (SHA256:…) does the storage show?');
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

function readOwnSources(
  given: Given,
  { root, snapshot }: { root: YamlValue; snapshot: SnapshotSettings },
): SourceSettings[] {
  const standard = {
    oneFilesystem: readFlag(given['one-file-system']) ?? DEFAULTS.oneFilesystem,
    honourMarkers: readFlag(given.markers) ?? DEFAULTS.honourMarkers,
    snapshot,
  };
  if (given.sources !== undefined) return readSources(given.sources, standard);
  if (given['storage-config']?.scalar !== true)
    root.complain('sources is missing: which folders should be backed up?');
  return [];
}

function readShare(value: YamlValue | undefined, unlessStated: string): number {
  const text: unknown = value === undefined ? unlessStated : value.scalar;
  const match = typeof text === 'string' ? /^([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%$/.exec(text.trim()) : null;
  const share = match === null ? NaN : Number(match[1]) / 100;
  if (share >= 0 && share <= 1) return share;
  value?.complain('must be a share such as 50%, from 0% to 100%');
  return 0;
}
