import type { Entry } from '@bakker/impl-format';

/** A literal entry; what is not said is ordinary. */
export function entryOf(path: string, said: Partial<Omit<Entry, 'path'>> = {}): Entry {
  return {
    path: Buffer.from(path),
    type: 'file',
    sizeBytes: 0,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 1_700_000_000_000_000_000n,
    ctimeNs: 1_700_000_000_000_000_000n,
    inode: 1n,
    filesystem: 0,
    linkCount: 1,
    stored: { kind: 'own' },
    ...said,
  };
}

export function folderOf(path: string, said: Partial<Omit<Entry, 'path'>> = {}): Entry {
  return entryOf(path, { type: 'directory', mode: 0o755, linkCount: 2, ...said });
}
