import { VERB, parseSpaceGrant, parseSpaceReply } from '@bakker/impl-format';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { Shell, publishRun, statusOf, string, temporaryRoot } from './shell-client.ts';

const PIECE = Buffer.alloc(200 * 1024, 7);

for (const type of ['ext4', 'xfs'] as const) {
  t.test(
    `a full ${type} keeps older runs and a resumable one, and a run in its reserve is published`,
    async (t) => {
      await using disk = await mountLoopFilesystem({
        type,
        sizeBytes: type === 'xfs' ? 320 << 20 : 64 << 20,
      });
      const root = disk.folder;
      const account = `${root}/server1`;
      mkdirSync(account);
      const first = await publishRun(root, { kept: 'the past' });
      let stored = 0;
      {
        await using shell = await Shell.open({ root });
        const begun = await shell.begin(first);
        let status: unknown;
        for (; typeof status !== 'number' && stored < 5000; stored++)
          status = await statusOf(shell.put(`big/file-${stored}`, PIECE));
        stored--; // the last was refused
        t.equal(status, 14, `full after ${stored}`);
        t.equal(readdirSync(`${account}/${begun.run}.incomplete/big`).length, stored, 'no half file stays');
        const space = parseSpaceReply(await shell.json(VERB.space, {}));
        t.ok((space.freeBytes ?? 0) > 1 << 20, 'the reserve is left');
        t.equal(await statusOf(writeLarge(shell)), 14, 'nor is there room for a large file');
        await shell.publish({ files: stored, directories: 1, bytes: stored * PIECE.length });
        t.ok(existsSync(`${account}/${begun.run}.impl`), 'what fits but for the reserve is published');
        await shell.cleanUp();
        await shell.end();
        await using unchanged = await Shell.open({ root });
        const { run } = await unchanged.begin(begun.run);
        let more = 0;
        let refusedNow: unknown;
        for (; typeof refusedNow !== 'number' && more < 500; more++)
          refusedNow = await statusOf(unchanged.put(`new-${more}`, PIECE));
        more--; // XFS gives a little back when files are closed
        t.equal(refusedNow, 14);
        t.same(
          await unchanged.tree((script) => script.keepRest()),
          [],
          'links need no more than the reserve',
        );
        const bytes = (stored + more) * PIECE.length;
        await unchanged.publish({ files: stored + more, directories: 1, bytes });
        t.ok(existsSync(`${account}/${run}/big/file-0`), 'a run of which nothing changed is published');
      }
      const cut = await Shell.open({ root });
      const { token } = await cut.begin(first);
      let refused: unknown;
      for (let index = 0; typeof refused !== 'number' && index < 100; index++)
        refused = await statusOf(cut.put(`more/${index}`, PIECE));
      t.equal(refused, 14);
      await cut.end();
      t.ok(existsSync(`${account}/${first}.impl`));
      // The rest of the volume is somebody else's.
      const filler = `${root}/filler`;
      t.throws(
        () => {
          for (let index = 0; index < 5000; index++) writeFileSync(`${filler}-${index}`, PIECE);
        },
        { code: 'ENOSPC' },
      );
      {
        await using shell = await Shell.open({ root });
        const again = await statusOf(shell.begin(first));
        if (typeof again === 'number') t.equal(again, 14, 'not even a folder finds room');
        else {
          t.same((again as { carried: string[] }).carried, [token], 'what arrived is not lost');
          t.equal(await statusOf(shell.put('one', PIECE)), 14);
        }
      }
      // Room again: the filler is gone, and so are the runs that filled the volume.
      const gone = readdirSync(account).filter((name) => /^\d/.test(name) && !name.startsWith(first));
      for (const name of gone.filter((name) => !name.includes('incomplete')))
        rmSync(`${account}/${name}`, { recursive: true });
      for (const name of readdirSync(root).filter((name) => name.startsWith('filler')))
        rmSync(`${root}/${name}`);
      await using later = await Shell.open({ root });
      const resumed = await later.begin(first);
      t.ok(resumed.carried.includes(token), 'it is resumed');
      await later.put('more/0', PIECE);
      await later.publish({ files: 1, directories: 1, bytes: PIECE.length });
    },
  );
}

t.test(
  'an account stops at its limit, whatever the volume has; a wish is left, and granted up to the ceiling',
  async (t) => {
    using root = temporaryRoot('limit');
    mkdirSync(`${root.account}/.bakker`);
    writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 2M\n  ceiling: 3M\n');
    const first = await publishRun(root.path, { kept: 'the past' });
    await using shell = await Shell.open({ root: root.path });
    await shell.begin(first);
    let stored = 0;
    let status: unknown;
    for (; typeof status !== 'number' && stored < 100; stored++)
      status = await statusOf(shell.put(`f${stored}`, PIECE));
    stored--; // the last was refused
    t.equal(status, 15);
    t.ok(stored > 5 && stored < 11, `${stored} of 200 kB in 2 MB`);
    const grant = parseSpaceGrant(await shell.json(VERB.requestSpace, { bytes: 100_000_000 }));
    t.ok(
      grant.grantedBytes < 4_000_000 && grant.grantedBytes === grant.limitBytes,
      'granted up to the ceiling',
    );
    t.equal(parseSpaceReply(await shell.json(VERB.space, {})).requestedBytes, 100_000_000);
    t.equal(typeof (await statusOf(shell.put('after', PIECE))), 'object', 'there is room again');
    await shell.publish({ files: stored + 1, bytes: (stored + 1) * PIECE.length });
    await shell.cleanUp();
    await shell.end();
    const usage = JSON.parse(readFileSync(`${root.account}/.bakker/usage.json`, 'utf8'));
    t.ok(usage.usedBytes > stored * PIECE.length, 'what was stored is counted');
    writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 2M\n  ceiling: 2M\n');
    await using later = await Shell.open({ root: root.path });
    const { limitBytes } = parseSpaceReply(await later.json(VERB.space, {}));
    t.ok(
      (limitBytes ?? Infinity) < 2_500_000,
      'what was granted goes no further than a ceiling that was lowered',
    );
  },
);

/** A file of 20 MB; what it is refused with, if it is, and nothing of it stays. */
async function writeLarge(shell: Shell): Promise<void> {
  const handle = await shell.create('large', 1 << 30);
  try {
    for (let index = 0; index < 100; index++)
      await shell.client.write({ bytes: handle, path: Buffer.from('large') }, index * PIECE.length, PIECE);
  } finally {
    await shell.verb(VERB.discard, string(handle));
  }
}

t.test(
  'what is given up, carried over and never taken, or cut off by a kill is counted rightly',
  async (t) => {
    using root = temporaryRoot('counted');
    mkdirSync(`${root.account}/.bakker`);
    writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 1G\n');
    const counted = (): number =>
      Number(JSON.parse(readFileSync(`${root.account}/.bakker/usage.json`, 'utf8')).usedBytes);
    const taken = (): number =>
      Number(execFileSync('du', ['-s', '-B1', root.account]).toString().split('\t')[0]);
    const isRight = (what: string): void => {
      const [told, real] = [counted(), taken()];
      t.ok(Math.abs(told - real) < 100_000, `${what}: ${told} counted, ${real} taken`);
    };
    const first = await publishRun(root.path, { 'a/kept': 'the past' });
    const fill = async (shell: Shell): Promise<void> => {
      for (let index = 0; index < 10; index++) await shell.put(`folder/${index}`, PIECE);
      const handle = await shell.create('large');
      for (let index = 0; index < 20; index++) await shell.write(handle, index * PIECE.length, PIECE);
      for (let index = 0; index < 20; index++) await shell.write(handle, index * PIECE.length, PIECE);
      await shell.finish(handle, 20 * PIECE.length);
      const dropped = await shell.create('dropped');
      await shell.write(dropped, 0, PIECE);
      await shell.verb(VERB.restart, string(dropped));
      await shell.write(dropped, 0, PIECE);
      await shell.verb(VERB.discard, string(dropped));
    };
    {
      await using shell = await Shell.open({ root: root.path });
      await shell.begin(first);
      await fill(shell);
      await shell.json(VERB.abandon, {});
    }
    isRight('given up');
    {
      await using shell = await Shell.open({ root: root.path });
      await shell.begin(first);
      await fill(shell);
      t.equal(await shell.end(), 0);
    }
    isRight('left unfinished');
    {
      await using shell = await Shell.open({ root: root.path });
      const { carried } = await shell.begin(first);
      await shell.tree((script) =>
        script.link(Buffer.from('taken'), carried[0] ?? '', Buffer.from('folder/1')),
      );
      await shell.publish({ files: 1, bytes: PIECE.length });
      await shell.cleanUp();
    }
    isRight('one of it taken, the rest removed');
    {
      const shell = await Shell.open({ root: root.path });
      await shell.begin(first);
      // More than a session keeps to itself.
      for (let index = 0; index < 400; index++) await shell.put(`${index}`, PIECE);
      shell.child.kill('SIGKILL');
      await shell.end();
    }
    t.ok(counted() > taken() - (65 << 20), `${counted()} counted, ${taken()} taken, after a kill`);
  },
);

t.test('whatever is asked while a run is published, the session goes on', async (t) => {
  using root = temporaryRoot('asked-meanwhile');
  const first = await publishRun(root.path, { 'a/kept': 'the past' });
  await using shell = await Shell.open({ root: root.path });
  await shell.begin(first);
  await shell.tree((script) => script.keepRest());
  let isDone = false;
  const published = shell.publish({ files: 1, directories: 1, bytes: 8 }).then(() => (isDone = true));
  const asked: Promise<unknown>[] = [];
  while (!isDone && asked.length < 5000) {
    // To be in time for the moment in which the account's names are locked.
    for (let index = 0; index < 10; index++) asked.push(shell.json(VERB.requestSpace, { bytes: 1 }));
    await asked.at(-10);
  }
  await published;
  t.equal((await Promise.all(asked)).length, asked.length);
});

t.test('a byte here and there is charged for the blocks that it takes', async (t) => {
  using root = temporaryRoot('scattered');
  mkdirSync(`${root.account}/.bakker`);
  writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 3M\n');
  const first = await publishRun(root.path, { kept: 'the past' });
  await using shell = await Shell.open({ root: root.path });
  await shell.begin(first);
  const handle = await shell.create('scattered');
  let status: unknown;
  let written = 0;
  for (; typeof status !== 'number' && written < 2000; written++)
    status = await statusOf(shell.write(handle, written * 4096 + 7, 'x'));
  t.equal(status, 15);
  t.ok(written > 600 && written < 800, `${written} blocks in 3 MB`);
  await shell.finish(handle, (written - 1) * 4096);
  t.equal(await statusOf(shell.put('more', PIECE)), 15);
});
