import { PRIVATE_FOLDER } from '@bakker/impl-format';
import { randomBytes } from 'node:crypto';
import type { Abilities } from '../../ports/storage-account.ts';
import { namesIn } from './carried.ts';
import type { FileStore } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { removeTree } from './remove-tree.ts';

/** Tries in folders of its own what a run needs: write, link, rename, symlink, odd names, delete, and a folder beside the runs. */
export async function probeAbilities(store: FileStore): Promise<Abilities> {
  const name = `probe-${randomBytes(6).toString('hex')}`;
  const folder = Buffer.from(`${PRIVATE_FOLDER}/${name}`);
  await store.mkdir(folder);
  const at = (name: string | Buffer) => joinPath(folder, Buffer.from(name));
  const content = randomBytes(1024);
  try {
    const startedMs = Date.now();
    await store.writeFile(at('file'), content, { mtimeS: 1_000_000_000, executable: false });
    const hardLinks = (await store.link(at('file'), at('link'))) === 'linked';
    const atomicRename = await succeeds(async () => {
      await store.writeFile(at('other'), content, { mtimeS: 0, executable: false });
      await store.renameOver(at('other'), at('file'));
    });
    const symlinks = await succeeds(() => store.symlink(at('symlink'), Buffer.from('file')));
    const anyBytesInNames = await keepsNames(store, folder);
    const besideRuns = Buffer.from(`.${name}`);
    await store.mkdir(besideRuns);
    const stamp = await store.lstat(besideRuns);
    const middleMs = (startedMs + Date.now()) / 2;
    await store.rmdir(besideRuns);
    return {
      hardLinks,
      atomicRename,
      symlinks,
      anyBytesInNames,
      fsync: store.features.fsync,
      serverSideCopy: store.features.serverSideCopy,
      ...(stamp ? { clockSkewMs: Math.round(stamp.mtimeS * 1000 - middleMs) } : {}),
    };
  } finally {
    await removeTree(store, folder, new AbortController().signal);
  }
}

/** Names that file systems of other systems refuse, write otherwise, or take for each other. */
const ODD_NAMES = [
  Buffer.from([0xff, 0x0a, 0xfe]),
  ...['case', 'CASE', 'caf\u00e9', 'cafe\u0301', 'a:b*?"<>|\\', 'at the end. '].map((name) =>
    Buffer.from(name),
  ),
];

/** Whether each of them is taken for itself, and told as it was given. */
async function keepsNames(store: FileStore, folder: Buffer): Promise<boolean> {
  const about = { mtimeS: 0, executable: false };
  const written = ODD_NAMES.map((name) =>
    succeeds(() => store.writeFile(joinPath(folder, name), Buffer.alloc(0), about)),
  );
  if ((await Promise.all(written)).includes(false)) return false;
  const told = new Set((await namesIn(store, folder)).map((name) => name.toString('latin1')));
  return ODD_NAMES.every((name) => told.has(name.toString('latin1')));
}

async function succeeds(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'CONNECTION_LOST') throw error;
    return false;
  }
}
