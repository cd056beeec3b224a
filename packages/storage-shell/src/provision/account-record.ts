import { parseDocument, stringify } from 'yaml';
import { StorageError } from '../errors.ts';
import { formatSizeBytes, parseSizeBytes } from '../policy/sizes.ts';
import type { AccountName } from './account-name.ts';
import { isAccountName } from './account-name.ts';
import { isPlainPath } from './places.ts';
import { parsePublicKeys } from './public-key.ts';
import type { PublicKey } from './public-key.ts';

export type FilesystemType = 'xfs' | 'ext4';

/** How an account's space is kept apart. */
export type Backend =
  | { readonly kind: 'dir' }
  | { readonly kind: 'lvm'; readonly vg: string; readonly fs: FilesystemType }
  | { readonly kind: 'xfs-quota' };

/** A key of the account's own server. */
export interface BackupKey {
  readonly key: PublicKey;
  /** Whether it may read runs back. */
  readonly mayRead: boolean;
}

/** Who else may read the account. */
export type Grant =
  | { readonly to: 'key'; readonly key: PublicKey }
  | { readonly to: 'account'; readonly name: AccountName }
  | { readonly to: 'group'; readonly name: string };

/**
 * What is known of an account outside of its folder, `/etc/bakker-storage/accounts/NAME.yaml`. The key files are made from
 * these; sizes are not in it, since the volume or account.yaml says them.
 */
export interface AccountRecord {
  readonly name: AccountName;
  readonly rootDir: string;
  readonly backend: Backend;
  /** `unfinished` while, or because, provisioning did not come to its end; `closed` if the data is kept, and nobody may log in. */
  readonly state: 'unfinished' | 'ready' | 'closed';
  readonly keys: readonly BackupKey[];
  readonly grants: readonly Grant[];
  /** Wishes up to here are granted without an administrator, where the space is a volume's; else account.yaml says it. */
  readonly ceilingBytes: number | undefined;
  /** `key SHA256:…`, `granted key SHA256:…`, `account NAME`, `group NAME`: taken back, while sessions that it opened may still run. Absent: none. */
  readonly ending?: readonly string[];
}

export function accountFolder({ rootDir, name }: Pick<AccountRecord, 'rootDir' | 'name'>): string {
  return `${rootDir === '/' ? '' : rootDir}/${name}`;
}

/** The text that `parseRecord` reads back. */
export function renderRecord(record: AccountRecord): string {
  const { rootDir, backend, state, keys, grants, ceilingBytes, ending = [] } = record;
  const content = {
    root: rootDir,
    backend: backend.kind,
    ...(backend.kind === 'lvm' ? { vg: backend.vg, fs: backend.fs } : {}),
    state,
    ...(ceilingBytes === undefined ? {} : { ceiling: formatSizeBytes(ceilingBytes) }),
    keys: keys.map(({ key, mayRead }) => ({ key, read: mayRead })),
    grants: grants.map((grant) =>
      grant.to === 'key'
        ? { key: grant.key }
        : grant.to === 'account'
          ? { account: grant.name }
          : { group: grant.name },
    ),
    ...(ending.length === 0 ? {} : { ending }),
  };
  return `# Written by bakker-storage; changed with provision, grant, revoke and deprovision.\n${stringify(content, { lineWidth: 0 })}`;
}

/** @throws StorageError CONFIG_INVALID: a record that can't be read must not be taken for an account without grants */
export function parseRecord(
  text: string,
  { name, file }: { name: AccountName; file: string },
): AccountRecord {
  const invalid = (problem: string): StorageError =>
    new StorageError('CONFIG_INVALID', `${file}: ${problem}`, {
      hint: `mend the file, or move it away and run bakker-storage provision ${name} again`,
    });
  const document = parseDocument(text);
  if (document.errors.length > 0) throw invalid('not valid YAML');
  const content: unknown = document.toJS();
  if (!isMap(content)) throw invalid('it is empty');
  const { root, backend, vg, fs, state, keys, grants, ceiling, ending } = content;
  if (typeof root !== 'string' || !isPlainPath(root)) throw invalid('root: must be an absolute path');
  if (state !== 'unfinished' && state !== 'ready' && state !== 'closed') throw invalid('state: unknown');
  if (!Array.isArray(keys) || !Array.isArray(grants)) throw invalid('keys and grants must be lists');
  if (ending !== undefined && !isTexts(ending)) throw invalid('ending: must be a list of texts');
  const keyOf = (value: unknown): PublicKey => {
    const key = typeof value === 'string' ? parsePublicKeys(value, file)[0] : undefined;
    if (key === undefined) throw invalid('a key is missing');
    return key;
  };
  return {
    name,
    rootDir: root,
    state,
    ceilingBytes:
      ceiling === undefined
        ? undefined
        : (parseSizeBytes(ceiling) ?? fail(invalid('ceiling: must be a size'))),
    backend:
      parseBackend({ backend, vg, fs }) ??
      fail(invalid('backend: must be dir, lvm with vg and fs, or xfs-quota')),
    keys: keys.map((item: unknown) => {
      if (!isMap(item) || typeof item['read'] !== 'boolean')
        throw invalid('a key of keys needs key and read');
      return { key: keyOf(item['key']), mayRead: item['read'] };
    }),
    grants: grants.map((item: unknown) => {
      if (!isMap(item)) throw invalid('a grant must be a map');
      if (typeof item['account'] === 'string' && isAccountName(item['account']))
        return { to: 'account', name: item['account'] };
      if (typeof item['group'] === 'string') return { to: 'group', name: item['group'] };
      return { to: 'key', key: keyOf(item['key']) };
    }),
    ...(ending === undefined ? {} : { ending }),
  };
}

function parseBackend(given: { backend: unknown; vg: unknown; fs: unknown }): Backend | undefined {
  const { backend, vg, fs } = given;
  if (backend === 'dir' || backend === 'xfs-quota') return { kind: backend };
  if (backend === 'lvm' && typeof vg === 'string' && (fs === 'xfs' || fs === 'ext4'))
    return { kind: 'lvm', vg, fs };
  return undefined;
}

function fail(error: Error): never {
  throw error;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
