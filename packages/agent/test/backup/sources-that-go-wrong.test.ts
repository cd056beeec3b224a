import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { Entry } from '@bakker/impl-format';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { setMtime, setXattr } from '@bakker/linux';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import type { Catalogue } from '../../src/ports/state-folder.ts';
import { KnownContents, type Located } from '../../src/backup/known-content.ts';
import { World } from '../restore/world.ts';

t.test(
  'a source that goes away while files are read is not published as if they had been deleted',
  async (t) => {
    await using world = new World();
    mkdirSync(world.source);
    for (let index = 0; index < 500; index++) writeFileSync(`${world.source}/${index}`, `${index}`);
    const tree = openSourceTree();
    let reads = 0;
    const source = {
      ...tree,
      openReader() {
        const reader = tree.openReader();
        return {
          read: (entry: Entry) => {
            if (++reads === 100) renameSync(world.source, `${world.source}-away`);
            return reader.read(entry);
          },
          recycle: (content: Buffer) => reader.recycle(content),
          [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
        };
      },
    };
    await t.rejects(world.backUp([world.source], source), { code: 'SOURCE_SUSPICIOUS', message: /source/ });
    t.notOk(
      readdirSync(world.storage).some((name) => /^\d{4}(_\d\d){3}$/.test(name)),
      'nothing has a name',
    );
    renameSync(`${world.source}-away`, world.source);
    t.match(await world.report(), { status: 'complete', files: { total: 500 } });
  },
);

t.test(
  'names of one file are one file in the run, though the first of them went before it was read',
  async (t) => {
    await using world = new World();
    world.blockChangeBytes = 256 * 1024;
    mkdirSync(world.source);
    const names = Array.from(
      { length: 20 },
      (_, index) => `${world.source}/${String(index).padStart(2, '0')}`,
    );
    const [first = '', ...others] = names;
    writeFileSync(first, Buffer.alloc(300 * 1024, 'content'));
    for (const name of others) linkSync(first, name);
    const tree = openSourceTree();
    let isGone = false;
    const source = {
      ...tree,
      openFile(entry: Entry) {
        if (!isGone) unlinkSync(first);
        isGone = true;
        return tree.openFile(entry);
      },
    };
    const { run, files } = await world.report([world.source], source);
    t.equal(files.total, others.length);
    const inodes = others.map((name) => statSync(`${world.storage}/${run}${name}`).ino);
    t.equal(new Set(inodes).size, 1);
  },
);

t.test('attributes that can not be read are tried in each run, and said each time', async (t) => {
  await using world = new World();
  world.blockChangeBytes = 256 * 1024;
  world.nowMs = Date.now() + 86_400_000; // what changed long before a run is trusted
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 << 20 });
  const path = `${disk.folder}/file`;
  writeFileSync(path, 'x');
  mkdirSync(`${disk.folder}/folder`);
  // more names than the kernel lists: XFS keeps them, and listxattr(2) gives E2BIG
  const name = (index: number) => `user.${index}${'n'.repeat(240)}`;
  for (const one of [path, `${disk.folder}/folder`])
    execFileSync('setfattr', ['--restore=-'], {
      input: [`# file: ${one}`, ...Array.from({ length: 300 }, (_, index) => `${name(index)}="v"`), ''].join(
        '\n',
      ),
      cwd: '/',
    });
  await setTimeout(2100); // at rest, so that the times would prove them unchanged
  for (const run of ['first', 'second', 'third']) {
    const { status, warnings } = await world.report([disk.folder]);
    t.match(
      { status, warnings },
      { status: 'partial', warnings: [/file is kept without/, /folder is kept without/] },
      run,
    );
  }
  for (const one of [path, `${disk.folder}/folder`])
    for (let index = 0; index < 290; index++) execFileSync('setfattr', ['-x', name(index), one]);
  t.same((await world.report([disk.folder])).warnings, []);
});

t.test('a file is not known by its inode where numbers do not last', (t) => {
  const asked: bigint[] = [];
  const added: bigint[] = [];
  const catalogue = {
    byInode: ({ inode }: { inode: bigint }) => void asked.push(inode),
    add: ({ inode }: { inode: bigint }) => void added.push(inode),
  } as unknown as Catalogue;
  const types = ['ext4', 'vfat', 'exfat', 'fuse.sshfs', 'fuseblk', 'cifs', 'overlay', 'xfs'];
  const known = new KnownContents(
    catalogue,
    types.map((type) => ({ mountPoint: Buffer.from(`/${type}`), type })),
  );
  for (const filesystem of types.keys()) {
    const inode = 100n + BigInt(filesystem);
    const stored = { kind: 'own' };
    const entry = { path: Buffer.from('p'), inode, filesystem, sizeBytes: 1, stored } as unknown as Entry;
    known.byInode(entry);
    known.add({
      entry: { ...entry, sha256: Buffer.alloc(32) },
      place: { folder: 'run', path: Buffer.from('p') },
    });
  }
  t.same(asked, [100n, 107n]);
  t.same(added, [100n, 0n, 0n, 0n, 0n, 0n, 0n, 107n]);
  t.end();
});

t.test('a file that was written again just after it was read, and then moved, is read', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/before`, 'what was read');
  const { mtimeNs } = statSync(`${world.source}/before`, { bigint: true });
  await world.backUp();
  writeFileSync(`${world.source}/before`, 'written later');
  setMtime(Buffer.from(`${world.source}/before`), mtimeNs); // as in the same tick of the clock
  renameSync(`${world.source}/before`, `${world.source}/after`);
  const run = await world.backUp();
  t.equal(readFileSync(`${world.storage}/${run}${world.source}/after`, 'utf8'), 'written later');
});

t.test('another name of a file is not taken for one that was read before the file was written again', (t) => {
  const known = new KnownContents({} as unknown as Catalogue, []);
  const first = { inode: 7n, filesystem: 0, sizeBytes: 1, mtimeNs: 1n, ctimeNs: 2n, linkCount: 2 };
  known.startGroup(first as unknown as Entry, Promise.withResolvers<Located>().promise);
  t.ok(known.group({ ...first } as unknown as Entry));
  t.notOk(known.group({ ...first, ctimeNs: 3n } as unknown as Entry), 'its mtime was set back');
  t.end();
});

t.test(
  'a file with more extended attributes than an entry takes is kept without them, in each run',
  async (t) => {
    await using world = new World();
    await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 * 1024 * 1024 });
    tag(`${disk.folder}/laden`, 130);
    tag(`${disk.folder}/some`, 100);
    writeFileSync(`${disk.folder}/zero`, 'behind them');
    for (const run of ['first', 'second']) {
      const { status, warnings, files } = await world.report([disk.folder]);
      t.match({ status, files }, { status: 'partial', files: { total: 3, unreadable: 1 } }, run);
      t.equal(warnings.length, 1);
      t.match(
        warnings[0],
        /laden is kept without its ACLs and extended attributes, which are more than a backup takes/,
      );
    }
  },
);

t.test('files with many extended attributes are scanned a few at a time', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 * 1024 * 1024 });
  for (let index = 0; index < 6; index++) tag(`${disk.folder}/${index}`, 40);
  const tree = openSourceTree();
  const plan = {
    sources: [{ path: Buffer.from(disk.folder), excludes: [], oneFilesystem: true, honourMarkers: true }],
    onProblem: () => undefined,
  };
  const { signal } = new AbortController();
  const lengths: number[] = [];
  for await (const batch of tree.scan(plan, await tree.survey(plan), { signal })) {
    lengths.push(batch.filter(({ xattrs }) => xattrs !== undefined).length);
  }
  tree.close();
  t.equal(Math.max(...lengths), 2, 'no more than four megabytes, and the one that reached them');
});

t.test('times as far off as a file system takes them keep no run from being made', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  execFileSync('mount', ['-t', 'tmpfs', 'bakker-test', world.source]);
  try {
    for (const [name, seconds] of [
      ['last', 2n ** 63n - 1n],
      ['first', -(2n ** 63n)],
    ] as const) {
      for (const sizeBytes of [1, 3_000_000]) {
        const path = `${world.source}/${name}-${sizeBytes}`;
        writeFileSync(path, Buffer.alloc(sizeBytes, name));
        setMtime(Buffer.from(path), seconds * 1_000_000_000n);
      }
    }
    t.match(await world.report(), { status: 'complete', files: { total: 4 }, warnings: { length: 0 } });
    t.match(await world.report(), { status: 'complete', files: { unchanged: 4 }, warnings: { length: 0 } });
  } finally {
    execFileSync('umount', [world.source]);
  }
});

/** Makes a file that has so many extended attributes of 64 KiB. */
function tag(path: string, count: number): void {
  writeFileSync(path, 'x');
  const value = Buffer.alloc(65_536, 'v');
  for (let index = 0; index < count; index++) setXattr(Buffer.from(path), { name: `user.${index}`, value });
}
