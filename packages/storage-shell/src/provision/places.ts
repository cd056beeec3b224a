import { parseDocument } from 'yaml';
import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import type { FilesystemType } from './account-record.ts';

export const DEFAULT_ETC = '/etc/bakker-storage';

/** Where things lie on this storage, and what holds for accounts whose provisioning says nothing else. */
export interface Places {
  readonly etc: string;
  /** Unix group of all accounts, which sshd's drop-in speaks of. */
  readonly group: string;
  readonly sshdProgram: string;
  readonly sshdConfig: string;
  readonly sshdDropIn: string;
  readonly sshdPidFile: string;
  readonly fstab: string;
  readonly backend: string | undefined;
  readonly vg: string | undefined;
  readonly fs: FilesystemType | undefined;
}

/** storage.yaml's keys, with what holds where it says nothing. */
const DEFAULTS = {
  group: 'bakker',
  'sshd-program': '/usr/sbin/sshd',
  'sshd-config': '/etc/ssh/sshd_config',
  'sshd-drop-in': '/etc/ssh/sshd_config.d/bakker.conf',
  'sshd-pid-file': '/run/sshd.pid',
  fstab: '/etc/fstab',
  backend: undefined,
  vg: undefined,
  fs: undefined,
} as const;

/** @throws StorageError CONFIG_INVALID */
export async function readPlaces(system: Pick<System, 'readText'>, etc: string): Promise<Places> {
  if (!isPlainPath(etc)) throw invalid(etc, 'the folder must be an absolute path of a-z, 0-9, ., _, - and /');
  const file = `${etc}/storage.yaml`;
  const given = parse(await system.readText(file), file);
  const text = (key: keyof typeof DEFAULTS): string | undefined => given.get(key) ?? DEFAULTS[key];
  const path = (key: keyof typeof DEFAULTS): string => {
    const value = text(key) ?? '';
    if (!isPlainPath(value)) throw invalid(file, `${key}: ${value} is no absolute path without blanks`);
    return value;
  };
  const group = text('group') ?? '';
  if (!/^[a-z][a-z0-9_-]{0,30}$/.test(group)) throw invalid(file, `group: ${group} is no name of a group`);
  const fs = text('fs');
  if (fs !== undefined && fs !== 'xfs' && fs !== 'ext4') throw invalid(file, 'fs: must be xfs or ext4');
  return {
    etc,
    group,
    sshdProgram: path('sshd-program'),
    sshdConfig: path('sshd-config'),
    sshdDropIn: path('sshd-drop-in'),
    sshdPidFile: path('sshd-pid-file'),
    fstab: path('fstab'),
    backend: text('backend'),
    vg: text('vg'),
    fs,
  };
}

/** Absolute, and the same in YAML, fstab, sshd_config, xfs_quota and a forced command without quoting. */
export function isPlainPath(path: string): boolean {
  return /^\/[A-Za-z0-9._/-]*$/.test(path) && !path.split('/').includes('..');
}

export const keysFolder = ({ etc }: Places): string => `${etc}/keys`;
export const recordsFolder = ({ etc }: Places): string => `${etc}/accounts`;
export const groupsFile = ({ etc }: Places): string => `${etc}/groups.yaml`;
export const lockFile = ({ etc }: Places): string => `${etc}/lock`;

function parse(text: string | undefined, file: string): Map<string, string> {
  const values = new Map<string, string>();
  if (text === undefined) return values;
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) throw invalid(file, problem.message.split('\n')[0] ?? 'not valid YAML');
  const content: unknown = document.toJS();
  if (content === null || content === undefined) return values;
  if (typeof content !== 'object' || Array.isArray(content))
    throw invalid(file, 'it must hold "key: value" lines');
  for (const [key, value] of Object.entries(content)) {
    if (!Object.hasOwn(DEFAULTS, key)) {
      throw invalid(file, `unknown key ${key}; known are ${Object.keys(DEFAULTS).join(', ')}`);
    }
    if (typeof value !== 'string' || value === '') throw invalid(file, `${key}: must be a text`);
    values.set(key, value);
  }
  return values;
}

function invalid(file: string, problem: string): StorageError {
  return new StorageError('CONFIG_INVALID', `${file}: ${problem}`, {
    hint: 'docs/provision.md describes it',
  });
}
