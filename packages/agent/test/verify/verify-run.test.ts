import t from 'tap';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { makeTortureTree } from '../../../../test/harness/torture-tree.ts';
import { TemporaryOverflow } from '../../src/adapters/temporary/temporary-overflow.ts';
import { chooseRun } from '../../src/browse/choose-run.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { ParentChain } from '../../src/verify/parent-chain.ts';
import { ReadInodes } from '../../src/verify/read-inodes.ts';
import { verifyRun } from '../../src/verify/verify-run.ts';
import type { Sample } from '../../src/verify/sample.ts';
import { altered } from '../restore/altered-account.ts';
import { SILENT, World } from '../restore/world.ts';

const overflow = async () => new TemporaryOverflow();
const ALL: Sample = { share: 1, seed: '' };

async function verify(world: World, sample?: Sample, alter = (account: StorageAccount) => account) {
  await using account = await world.account();
  const run = await chooseRun(account, 'latest').catch(() => undefined);
  if (run === undefined) throw new Error('no run');
  const ports = { account: alter(account), progress: SILENT, signal: new AbortController().signal, overflow };
  const verdict = await verifyRun(
    { run, sample, readInodes: new ReadInodes(), chain: new ParentChain([]) },
    ports,
  );
  const damaged = verdict.damaged.items.map(
    ({ path, reason }) => `${path.toString().replace(/.*\/source\/?/, '')}: ${reason}`,
  );
  return { ...verdict, damaged };
}

/** A run, and the place of its source on the storage. */
async function small(): Promise<{ world: World; stored: string }> {
  const world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  mkdirSync(`${world.source}/empty`);
  for (const name of ['a', 'b', 'c']) writeFileSync(`${world.source}/folder/${name}`, `content of ${name}`);
  writeFileSync(`${world.source}/large`, Buffer.alloc(2_000_000, 5));
  linkSync(`${world.source}/folder/a`, `${world.source}/second-name`);
  symlinkSync('folder', `${world.source}/link`);
  const run = await world.backUp();
  return { world, stored: `${world.storage}/${run}${world.source}` };
}

t.test('a run of everything is sound, in structure and contents', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  await makeTortureTree(world.source, { hardLinks: 50, manyEntries: 1500, deepPathBytes: 3900 });
  await world.backUp();
  const structure = await verify(world);
  t.same(structure.damaged, []);
  t.equal(structure.read, 0);
  const { damaged, read } = await verify(world, ALL);
  t.same(damaged, []);
  t.ok(read > 1500);
});

const DAMAGE: readonly {
  readonly what: string;
  readonly hurt: (stored: string) => void;
  readonly told: readonly string[];
  /** Found only by reading contents. */
  readonly needsData?: boolean;
}[] = [
  {
    what: 'a missing file',
    hurt: (stored) => {
      rmSync(`${stored}/folder/b`);
    },
    told: ['folder/b: it is missing from the storage'],
  },
  {
    what: 'a shortened file',
    hurt: (stored) => {
      truncateSync(`${stored}/folder/b`, 3);
    },
    told: ['folder/b: it has 3 bytes on the storage instead of 12'],
  },
  {
    what: 'a folder in place of a file',
    hurt: (stored) => {
      rmSync(`${stored}/folder/b`);
      mkdirSync(`${stored}/folder/b`);
    },
    told: ['folder/b: it is a directory on the storage instead of a file'],
  },
  {
    what: 'a missing folder, with what was in it',
    hurt: (stored) => {
      rmSync(`${stored}/folder`, { recursive: true });
    },
    told: ['folder: it is missing from the storage'],
  },
  {
    what: 'a missing empty folder',
    hurt: (stored) => {
      rmdirSync(`${stored}/empty`);
    },
    told: ['empty: it is missing from the storage'],
  },
  {
    what: 'a missing symlink',
    hurt: (stored) => {
      rmSync(`${stored}/link`);
    },
    told: ['link: it is missing from the storage'],
  },
  {
    what: 'names that the manifest does not have',
    hurt: (stored) => {
      writeFileSync(`${stored}/folder/stray`, 'x');
      mkdirSync(`${stored}/empty/stray`);
      writeFileSync(`${stored}/empty/stray/below`, 'x');
    },
    told: [
      'empty/stray: it lies on the storage, but the manifest does not have it',
      'folder/stray: it lies on the storage, but the manifest does not have it',
    ],
  },
  {
    what: 'a hard link that became a copy',
    hurt: (stored) => {
      copyFileSync(`${stored}/second-name`, `${stored}/copy`);
      renameSync(`${stored}/copy`, `${stored}/second-name`);
    },
    told: ['second-name: its 2 hard links are not one file on the storage'],
  },
  {
    what: 'a changed byte of a small file',
    hurt: (stored) => {
      writeFileSync(`${stored}/folder/b`, 'CONTENT of b');
    },
    told: ['folder/b: its content is not what was backed up: SHA-256 differs'],
    needsData: true,
  },
  {
    what: 'a changed byte of a large file',
    hurt: (stored) => {
      const bytes = readFileSync(`${stored}/large`);
      bytes[1_500_000] = 6;
      writeFileSync(`${stored}/large`, bytes);
    },
    told: ['large: its content is not what was backed up: SHA-256 differs'],
    needsData: true,
  },
];

for (const { what, hurt, told, needsData = false } of DAMAGE) {
  t.test(`${what} is found${needsData ? ' by reading contents' : ''}`, async (t) => {
    const { world, stored } = await small();
    await using _world = world;
    hurt(stored);
    const structure = await verify(world);
    t.same(structure.damaged.sort(), needsData ? [] : told);
    if (needsData) t.same((await verify(world, ALL)).damaged, told);
  });
}

t.test('where the storage tells no inodes, counts of links tell', async (t) => {
  const { world, stored } = await small();
  await using _world = world;
  copyFileSync(`${stored}/second-name`, `${stored}/copy`);
  renameSync(`${stored}/copy`, `${stored}/second-name`);
  const { damaged } = await verify(world, undefined, (account) =>
    altered(account, {
      listFolder: async (...args) =>
        (await account.listFolder(...args)).map((item) => ({ ...item, inode: undefined })),
    }),
  );
  t.same(damaged, ['second-name: it has 2 names in the run, but one has only 1 hard links on the storage']);
});

t.test('a damaged manifest makes the run damaged', async (t) => {
  const { world } = await small();
  await using _world = world;
  const manifest = `${world.storage}/2024_04_18_01.impl`;
  const bytes = readFileSync(manifest);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(manifest, bytes);
  t.match((await verify(world)).manifestProblem, /manifest of 2024_04_18_01 is damaged/);
});

t.test('a sample reads about its share, the same files for the same seed', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  for (let index = 0; index < 1000; index++) writeFileSync(`${world.source}/f${index}`, String(index));
  const run = await world.backUp();
  const first = await verify(world, { share: 0.2, seed: 'one' });
  t.ok(first.read > 130 && first.read < 270, `${first.read} of 1000`);
  t.equal((await verify(world, { share: 0.2, seed: 'one' })).read, first.read);
  for (let index = 0; index < 1000; index++)
    writeFileSync(`${world.storage}/${run}${world.source}/f${index}`, String(index).replace(/./g, 'x'));
  const found = async (seed: string) => (await verify(world, { share: 0.2, seed })).damaged.join('\n');
  t.equal(await found('one'), await found('one'));
  t.not(await found('one'), await found('two'));
});

/** Verifies all contents of several runs as one command does, and tells how often each path of a run was read. */
async function verifyRuns(world: World, { tellsInodes }: { tellsInodes: boolean }) {
  await using account = await world.account();
  const reads: string[] = [];
  const readInodes = new ReadInodes();
  const damaged: string[] = [];
  for (const { run } of await account.listRuns()) {
    const noted = (path: Buffer) => reads.push(`${run} ${path.toString().replace(/.*\//, '')}`);
    const watched = altered(account, {
      readFile: (...args) => {
        noted(args[1]);
        return account.readFile(...args);
      },
      readExtents: (...args) => {
        noted(args[1]);
        return account.readExtents(...args);
      },
      listFolder: async (...args) => {
        const items = await account.listFolder(...args);
        return tellsInodes ? items : items.map((item) => ({ ...item, inode: undefined }));
      },
    });
    const ports = { account: watched, progress: SILENT, signal: new AbortController().signal, overflow };
    const verdict = await verifyRun({ run, sample: ALL, readInodes, chain: new ParentChain([]) }, ports);
    for (const { path } of verdict.damaged.items)
      damaged.push(`${run} ${path.toString().replace(/.*\//, '')}`);
  }
  return { reads: reads.sort(), damaged: damaged.sort() };
}

t.test('a stored inode is read once in all runs that share it, and every other one is read', async (t) => {
  const { world } = await small();
  await using _world = world;
  copyFileSync(`${world.source}/folder/b`, `${world.source}/same-as-b`);
  writeFileSync(`${world.source}/folder/c`, 'CONTENT of c');
  const second = await world.backUp();
  // linked on the storage, being the same content: made an inode of its own
  const twin = `${world.storage}/${second}${world.source}/same-as-b`;
  copyFileSync(twin, `${world.storage}/twin`);
  renameSync(`${world.storage}/twin`, twin);
  const { reads, damaged } = await verifyRuns(world, { tellsInodes: true });
  t.same(damaged, []);
  t.same(reads, [
    '2024_04_18_01 a',
    '2024_04_18_01 b',
    '2024_04_18_01 c',
    '2024_04_18_01 large',
    '2024_04_19_01 c',
    '2024_04_19_01 same-as-b',
  ]);
  const untold = await verifyRuns(world, { tellsInodes: false });
  t.equal(untold.reads.length, 11, 'where the storage tells no inodes, every name is read');
});

t.test('damage of a shared inode is told for each of its names in each run', async (t) => {
  const { world, stored } = await small();
  await using _world = world;
  await world.backUp();
  writeFileSync(`${stored}/folder/a`, 'CONTENT of a');
  const { damaged } = await verifyRuns(world, { tellsInodes: true });
  t.same(damaged, [
    '2024_04_18_01 a',
    '2024_04_18_01 second-name',
    '2024_04_19_01 a',
    '2024_04_19_01 second-name',
  ]);
});
