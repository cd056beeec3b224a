import { VERB } from '@bakker/impl-format';
import { openFolder, openFolderBeneath } from '@bakker/linux';
import { OPEN } from '@bakker/sftp';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readFileSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { trySessionLock } from '../../src/adapters/account/locks.ts';
import { readUsage, writeUsage } from '../../src/adapters/account/usage-file.ts';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { Shell, publishRun, statusOf, string } from '../session/shell-client.ts';

const NEVER = new AbortController().signal;
const WEEK_MS = 7 * 86_400_000;
/** Small files and folders of `.bakker`, some names for each run, and what was not yet on the disk when it went. */
const MOST_TOO_MUCH = 1_000_000;

interface World extends AsyncDisposable {
  readonly root: string;
  readonly account: string;
  /** What is counted is what is there, or a little more. */
  isRight(t: Test, what: string): void;
  session(): Promise<Shell>;
}

async function limited(type: 'ext4' | 'xfs'): Promise<World> {
  const mkfsArgs = type === 'ext4' ? ['-b', '4096', '-N', '16384'] : [];
  const disk = await mountLoopFilesystem({ type, sizeBytes: 320 << 20, mkfsArgs });
  const root = disk.folder;
  const account = `${root}/server1`;
  mkdirSync(`${account}/.bakker`, { recursive: true });
  writeFileSync(`${account}/.bakker/account.yaml`, 'space:\n  limit: 1G\n');
  return {
    root,
    account,
    isRight(t, what) {
      // Some of it is known only when it is on the disk.
      execFileSync('sync', ['-f', root]);
      const taken = Number(execFileSync('du', ['-s', '-B1', account]).toString().split('\t')[0]);
      const inodes = Number(execFileSync('du', ['-s', '--inodes', account]).toString().split('\t')[0]);
      const counted: unknown = JSON.parse(readFileSync(`${account}/.bakker/usage.json`, 'utf8'));
      const { usedBytes, inodes: countedInodes } = counted as { usedBytes: number; inodes: number };
      t.ok(usedBytes >= taken, `${what}: ${usedBytes} counted, ${taken} taken`);
      // XFS holds room ready for files that are being written, and takes it back when they are closed.
      if (type === 'ext4') t.ok(usedBytes < taken + MOST_TOO_MUCH, `${what}: ${usedBytes} counted`);
      t.ok(countedInodes >= inodes, `${what}: ${countedInodes} inodes counted, ${inodes} taken`);
    },
    session: () => Shell.open({ root }),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

const LONG_NAME = 'n'.repeat(200);

/** What takes more than is seen of it: long symlinks, folders that grow, blocks that lie apart. */
async function storeOddThings(shell: Shell, first: string): Promise<void> {
  await shell.tree((script) => {
    for (let index = 0; index < 500; index++) {
      script.symlink(Buffer.from(`links/${index}`), Buffer.alloc(300, 'x'));
    }
  });
  for (let part = 0; part < 4; part++) {
    await shell.tree((script) => {
      for (let index = 0; index < 500; index++) {
        script.link(Buffer.from(`grown/${part}-${index}-${LONG_NAME}`), first, Buffer.from('kept'));
      }
    });
  }
  const long = (index: number): string => `put-${index % 80}/${LONG_NAME}`;
  await shell.putAll(
    Array.from({ length: 900 }, (_, index) => ({ path: `${long(index)}${index}`, content: '' })),
  );
  for (let file = 0; file < 30; file++) {
    const handle = await shell.create(`scattered-${file}`);
    for (let index = 0; index < 6; index++) await shell.write(handle, index * 40_960, 'x');
    await shell.finish(handle, 6 * 40_960);
  }
  await shell.verb(VERB.manifest, Buffer.concat([Buffer.of(1), Buffer.alloc(100_000, 1)]));
}

for (const type of ['ext4', 'xfs'] as const) {
  t.test(`on ${type}, the count does not fall by what is stored and given up, again and again`, async (t) => {
    await using world = await limited(type);
    const first = await publishRun(world.root, { kept: 'the past' });
    for (let round = 0; round < 3; round++) {
      {
        await using shell = await world.session();
        await shell.begin(first);
        await storeOddThings(shell, first);
        await shell.json(VERB.abandon, {});
      }
      world.isRight(t, 'given up');
      {
        await using shell = await world.session();
        await shell.begin(first);
        await storeOddThings(shell, first);
      }
      world.isRight(t, 'left unfinished');
      {
        await using shell = await world.session();
        await shell.begin(first);
        await shell.publish({});
        await shell.cleanUp();
      }
      world.isRight(t, 'published, what was left is removed');
    }
  });
}

t.test('nor by runs that are published, kept and retired', async (t) => {
  await using world = await limited('ext4');
  const first = await publishRun(world.root, { kept: 'the past' });
  // More names than this takes no inode of ext4: the next run makes symlinks of its own.
  {
    await using shell = await world.session();
    await shell.begin(first);
    await shell.tree((script) => script.symlink(Buffer.from('full'), Buffer.alloc(300, 'x')));
    await shell.publish({ symlinks: 1 });
    await shell.cleanUp();
  }
  const [, second = ''] = readdirSync(world.account).filter((name) => /^[\d_]+$/.test(name));
  for (let index = 0; index < 64_999; index++) {
    linkSync(`${world.account}/${second}/full`, `${world.root}/name-${index}`);
  }
  let parent = second;
  const symlinks = 1 + 20;
  {
    await using shell = await world.session();
    await shell.begin(parent);
    await shell.tree((script) => {
      script.keepRest();
      for (let index = 0; index < 20; index++) {
        script.link(Buffer.from(`more/${index}`), second, Buffer.from('full'));
      }
      for (let index = 0; index < 2000; index++) {
        script.link(Buffer.from(`grown/${index}-${LONG_NAME}`), first, Buffer.from('kept'));
      }
    });
    const published = await shell.publish({ files: 2000, directories: 2, symlinks, bytes: 2000 * 8 });
    parent = published.run;
    await shell.cleanUp();
  }
  world.isRight(t, 'published');
  for (let round = 0; round < 3; round++) {
    await using shell = await world.session();
    await shell.begin(parent);
    await shell.tree((script) => script.keepRest());
    const published = await shell.publish({ files: 2000, directories: 2, symlinks, bytes: 2000 * 8 });
    parent = published.run;
    await shell.cleanUp();
    await shell.end();
    world.isRight(t, 'kept');
    using keeper = openKeeper(world.root, 'server1');
    const oldest = keeper.runs()[1];
    if (oldest === undefined) throw new Error('there is no run');
    t.equal(await keeper.remove(oldest.run, Date.now()), 'removed');
    for (const { name } of keeper.trash()) await keeper.deleteTrashed(name, NEVER);
    world.isRight(t, 'retired');
  }
});

t.test('nor by folders that were kept before something was in the way', async (t) => {
  await using world = await limited('ext4');
  const parent = await manyFolders(world, 1000);
  for (let round = 0; round < 2; round++) {
    await using shell = await world.session();
    await shell.begin(parent);
    await shell.put('z', 'where the parent has a folder');
    t.equal(await statusOf(shell.tree((script) => script.keepRest())), 11);
    await shell.json(VERB.abandon, {});
  }
  world.isRight(t, 'given up');
});

t.test('folders that are kept stop at the limit, too', async (t) => {
  await using world = await limited('ext4');
  const parent = await manyFolders(world, 4000);
  const limitBytes = 20 << 20;
  writeFileSync(`${world.account}/.bakker/account.yaml`, 'space: {limit: 20M, reserve: 1M}\n');
  {
    await using shell = await world.session();
    await shell.begin(parent);
    t.equal(await statusOf(shell.tree((script) => script.keepRest())), 15);
  }
  world.isRight(t, 'refused');
  const taken = Number(execFileSync('du', ['-s', '-B1', world.account]).toString().split('\t')[0]);
  t.ok(taken < limitBytes + (4 << 20), `${taken} of ${limitBytes}`);
});

/** A run of so many folders, and one that comes last. */
async function manyFolders(world: World, count: number): Promise<string> {
  await using shell = await world.session();
  await shell.begin();
  await shell.tree((script) => {
    for (let index = 0; index < count; index++) script.directory(Buffer.from(`${index % 20}/${index}`));
  });
  await shell.put('z/last', 'x');
  const { run } = await shell.publish({ files: 1, directories: count + 21, bytes: 1 });
  await shell.cleanUp();
  return run;
}

t.test('nor by files that are linked while they are stored together with one that can not be', async (t) => {
  await using world = await limited('ext4');
  const first = await publishRun(world.root, { kept: 'the past' });
  {
    await using shell = await world.session();
    const { token } = await shell.begin(first);
    await shell.put('taken', 'x');
    for (let round = 0; round < 20; round++) {
      const others = Array.from({ length: 1000 }, (_, index) => ({ path: `${round}/${index}`, content: '' }));
      const storing = shell.putAll([
        { path: `${round}/large`, content: Buffer.alloc(200_000, 1) },
        ...others,
        { path: 'taken', content: '' },
      ]);
      const linking = shell.tree((script) => {
        for (let index = 0; index < 1500; index++)
          script.link(Buffer.from(`linked/${round}-${index}`), token, Buffer.from(`${round}/large`));
      });
      t.equal(await statusOf(storing), 11);
      await linking;
    }
  }
  world.isRight(t, 'refused');
});

t.test('what was given up is not held by who has it open', async (t) => {
  await using world = await limited('ext4');
  writeFileSync(`${world.account}/.bakker/account.yaml`, 'space: {limit: 12M, reserve: 1M}\n');
  const first = await publishRun(world.root, { kept: 'the past' });
  const freeBytes = (): number => {
    execFileSync('sync', ['-f', world.root]);
    const { bavail, bsize } = statfsSync(world.root);
    return bavail * bsize;
  };
  await using shell = await world.session();
  const { run } = await shell.begin(first);
  const before = freeBytes();
  for (let round = 0; round < 5; round++) {
    const handle = await shell.create(`${round}/large`);
    const piece = Buffer.alloc(200_000, 1);
    for (let index = 0; index < 40; index++) await shell.write(handle, index * piece.length, piece);
    const at = Buffer.from(`/${run}.incomplete/${round}`);
    t.equal(await statusOf(shell.client.open(Buffer.concat([at, Buffer.from('/large')]), OPEN.READ)), 3);
    t.equal(await statusOf(shell.client.opendir(at)), 3);
    await shell.verb(VERB.discard, string(handle));
  }
  t.ok(before - freeBytes() < 12 << 20, `${before - freeBytes()} are taken`);
});

t.test('what is wrong of a count ends with the week, unless somebody stores meanwhile', async (t) => {
  await using world = await limited('ext4');
  await publishRun(world.root, { kept: 'the past' });
  using account = openFolder(Buffer.from(world.account));
  using hidden = openFolderBeneath(account, Buffer.from('.bakker'));
  using keeper = openKeeper(world.root, 'server1');
  const wrong = { usedBytes: 5, inodes: 5, atMs: 1_000 };
  writeUsage(hidden, wrong);
  t.equal(await keeper.recount({ nowMs: WEEK_MS, signal: NEVER }), false, 'not yet');
  {
    using _session = trySessionLock(account) ?? null;
    t.equal(await keeper.recount({ nowMs: WEEK_MS * 2, signal: NEVER }), false, 'a session stores');
  }
  const counting = keeper.recount({ nowMs: WEEK_MS * 2, signal: NEVER });
  writeUsage(hidden, { ...wrong, usedBytes: 6 });
  t.equal(await counting, false, 'something was stored meanwhile');
  t.same(readUsage(account), { ...wrong, usedBytes: 6 });
  t.equal(await keeper.recount({ nowMs: WEEK_MS * 2, signal: NEVER }), true);
  t.equal(readUsage(account)?.atMs, WEEK_MS * 2);
  world.isRight(t, 'counted anew');
  writeUsage(hidden, { ...wrong, atMs: WEEK_MS * 9 });
  t.equal(await keeper.recount({ nowMs: WEEK_MS, signal: NEVER }), true, 'by a clock that was wrong');
});
