import { StorageError } from '../errors.ts';
import type { AccountName } from './account-name.ts';
import type { AccountRecord, Backend, BackupKey, FilesystemType } from './account-record.ts';
import { isPlainPath } from './places.ts';
import type { Places } from './places.ts';
import type { PublicKey } from './public-key.ts';

export interface ProvisionRequest {
  readonly name: AccountName;
  readonly rootDir: string;
  /** Added to those that the account has. */
  readonly keys: readonly PublicKey[];
  /** `read`: may read runs back, `no-read`: may not; undefined: as it was, or yes for a new key. */
  readonly reading: 'read' | 'no-read' | undefined;
  readonly backend: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly ceilingBytes: number | undefined;
  readonly vg: string | undefined;
  readonly fs: FilesystemType | undefined;
  readonly groups: readonly string[];
  readonly isDryRun: boolean;
}

/**
 * What the account will be, from what it is and what is asked for. Pure.
 *
 * @throws StorageError USAGE, CONFIG_INVALID for what an account can't be turned into
 */
export function chooseRecord(
  request: ProvisionRequest,
  { existing, places }: { existing: AccountRecord | undefined; places: Places },
): AccountRecord {
  const rootDir = request.rootDir.replace(/(?<=.)\/+$/, '');
  if (!isPlainPath(rootDir) || rootDir === '/') {
    throw new StorageError('USAGE', `--root ${rootDir} can't hold accounts`, {
      hint: 'name an absolute path of letters, digits, ., _, - and /',
    });
  }
  if (existing !== undefined && rootDir !== '/backups' && rootDir !== existing.rootDir) {
    throw differs(request.name, `lies in ${existing.rootDir}, not in ${rootDir}`);
  }
  const backend = chooseBackend(request, { existing: existing?.backend, places });
  return {
    name: request.name,
    rootDir: existing?.rootDir ?? rootDir,
    backend,
    state: 'ready',
    keys: mergeKeys(existing?.keys ?? [], request),
    grants: existing?.grants ?? [],
    ceilingBytes: backend.kind === 'dir' ? undefined : (request.ceilingBytes ?? existing?.ceilingBytes),
    ...(existing?.ending === undefined ? {} : { ending: existing.ending }),
  };
}

function chooseBackend(
  request: ProvisionRequest,
  { existing, places }: { existing: Backend | undefined; places: Places },
): Backend {
  if (existing !== undefined) {
    const asked = { backend: request.backend, vg: request.vg, fs: request.fs };
    const has = {
      backend: existing.kind,
      vg: existing.kind === 'lvm' ? existing.vg : undefined,
      fs: existing.kind === 'lvm' ? existing.fs : undefined,
    };
    for (const key of ['backend', 'vg', 'fs'] as const) {
      if (asked[key] === undefined || asked[key] === has[key]) continue;
      throw differs(request.name, `has ${key} ${has[key] ?? 'none'}, not ${asked[key]}`);
    }
    return existing;
  }
  const kind = request.backend ?? places.backend ?? 'dir';
  if (kind === 'dir' || kind === 'xfs-quota') {
    if (request.vg !== undefined || request.fs !== undefined)
      throw new StorageError('USAGE', `--vg and --fs are for --backend lvm, not ${kind}`);
    if (request.ceilingBytes !== undefined && request.sizeBytes === undefined)
      throw new StorageError('USAGE', '--ceiling means nothing without --size');
    return { kind };
  }
  if (kind !== 'lvm')
    throw new StorageError('USAGE', `${kind} is no backend`, { hint: 'use dir, lvm or xfs-quota' });
  const vg = request.vg ?? places.vg;
  if (vg === undefined) {
    throw new StorageError('USAGE', 'in which volume group?', {
      hint: 'add --vg VG, or set vg in storage.yaml',
    });
  }
  // What LVM takes, less what could be an option or leave /dev.
  if (!/^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,126}$/.test(vg)) {
    throw new StorageError('USAGE', `--vg ${vg} is no name of a volume group`);
  }
  return { kind: 'lvm', vg, fs: request.fs ?? places.fs ?? 'xfs' };
}

function mergeKeys(existing: readonly BackupKey[], { keys, reading }: ProvisionRequest): BackupKey[] {
  // Without keys, the flag is meant for those that are there.
  const isMeant = (key: PublicKey): boolean =>
    reading !== undefined && (keys.length === 0 || keys.includes(key));
  const kept = existing.map((held) => (isMeant(held.key) ? { ...held, mayRead: reading === 'read' } : held));
  const added = keys.filter((key) => !existing.some((held) => held.key === key));
  return [...kept, ...added.map((key) => ({ key, mayRead: reading !== 'no-read' }))];
}

function differs(name: string, how: string): StorageError {
  return new StorageError('CONFIG_INVALID', `the account ${name} is there and ${how}`, {
    hint: 'leave the flag out; an account is moved by making a new one and copying with rsync -aHXS',
  });
}
