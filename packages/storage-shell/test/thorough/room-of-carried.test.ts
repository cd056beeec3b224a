import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { Shell, publishRun, statusOf, temporaryRoot } from '../session/shell-client.ts';

const QUOTA = 15;
const FULL = 14;
const MIB = 2 ** 20;
const PIECE = Buffer.alloc(200 * 1024, 7);

/** A run that stores files in `folder` until it is refused. @returns its token, and how many were stored */
async function fillUp(root: string, parent: string): Promise<{ token: string; stored: number }> {
  await using shell = await Shell.open({ root });
  const { token } = await shell.begin(parent);
  let stored = 0;
  while (typeof (await statusOf(shell.put(`folder/${stored}`, PIECE))) !== 'number') stored++;
  return { token, stored };
}

/** A run without that folder. What of it is taken early is kept, and everything else makes room. */
async function runsWithoutIt(t: Test, root: string, parent: string): Promise<void> {
  const { token, stored } = await fillUp(root, parent);
  t.ok(stored > 15, `${stored} files`);
  // A second one that is cut off: all of it has two names by now.
  {
    await using shell = await Shell.open({ root });
    const { carried } = await shell.begin(parent);
    t.same(carried, [token]);
    const failures = await shell.tree((script) => {
      for (let index = 0; index < stored; index++)
        script.link(Buffer.from(`folder/${index}`), token, Buffer.from(`folder/${index}`));
    });
    t.same(failures, []);
  }
  const account = `${root}/server1`;
  await using shell = await Shell.open({ root });
  const { run, carried } = await shell.begin(parent);
  t.equal(carried.length, 2);
  const link = (name: string, from: string) =>
    shell.tree((script) => script.link(Buffer.from(name), token, Buffer.from(`folder/${from}`)));
  t.same(await link('taken', '3'), []);
  const puts = Array.from({ length: 8 }, (_, index) => shell.put(`new-${index}`, PIECE));
  t.equal((await Promise.all(puts)).length, 8, 'there is room');
  const handle = await shell.create('large', 4 * PIECE.length);
  for (let index = 0; index < 4; index++) await shell.write(handle, index * PIECE.length, PIECE);
  await shell.finish(handle, 4 * PIECE.length);
  t.match(await link('too-late', '4'), [{ operation: 0, reason: 'absent' }], 'a client sends that again');
  await shell.publish({ files: 10, bytes: 13 * PIECE.length });
  await shell.cleanUp();
  t.equal(await shell.end(), 0, shell.stderr);
  t.ok(readFileSync(`${account}/${run}/taken`).equals(PIECE));
  t.equal(lstatSync(`${account}/${run}/taken`).nlink, 1);
  t.same(readdirSync(`${account}/.bakker/carried`), []);
}

t.test('what a refused run left makes room for one that does not want it', async (t) => {
  using root = temporaryRoot('makes-room');
  mkdirSync(`${root.account}/.bakker`);
  writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 5M\n');
  const first = await publishRun(root.path, { kept: 'the past' });
  await runsWithoutIt(t, root.path, first);
  const told = Number(JSON.parse(readFileSync(`${root.account}/.bakker/usage.json`, 'utf8')).usedBytes);
  const taken = Number(execFileSync('du', ['-s', '-B1', root.account]).toString().split('\t')[0]);
  t.ok(Math.abs(told - taken) < 100_000, `${told} counted, ${taken} taken`);
});

t.test('on a full volume as well', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 * MIB });
  mkdirSync(`${disk.folder}/server1`);
  const first = await publishRun(disk.folder, { kept: 'the past' });
  await runsWithoutIt(t, disk.folder, first);
});

t.test('no more goes than is needed', async (t) => {
  using root = temporaryRoot('no-more');
  mkdirSync(`${root.account}/.bakker`);
  writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 200M\n');
  const first = await publishRun(root.path, { kept: 'the past' });
  const { token, stored } = await fillUp(root.path, first);
  await using shell = await Shell.open({ root: root.path });
  await shell.begin(first);
  await shell.put('new', PIECE);
  const left = readdirSync(`${root.account}/.bakker/carried/${token}/folder`).length;
  t.ok(left > stored / 2 && left < stored - 300, `${left} of ${stored} files are left`);
});

t.test('a large file of unknown size is refused, and has room when it is tried again', async (t) => {
  using root = temporaryRoot('unknown-size');
  mkdirSync(`${root.account}/.bakker`);
  writeFileSync(`${root.account}/.bakker/account.yaml`, 'space:\n  limit: 5M\n');
  const first = await publishRun(root.path, { kept: 'the past' });
  const { token } = await fillUp(root.path, first);
  await using shell = await Shell.open({ root: root.path });
  await shell.begin(first);
  const handle = await shell.create('large');
  let status: unknown;
  for (let index = 0; typeof status !== 'number' && index < 10; index++)
    status = await statusOf(shell.write(handle, index * PIECE.length, PIECE));
  t.equal(status, QUOTA);
  for (let waited = 0; existsSync(`${root.account}/.bakker/carried/${token}`) && waited < 100; waited++)
    await delay(50);
  for (let index = 0; index < 10; index++) await shell.write(handle, index * PIECE.length, PIECE);
  await shell.finish(handle, 10 * PIECE.length);
});

t.test('where all of it would be too little, nothing of it goes', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 * MIB });
  const root = disk.folder;
  mkdirSync(`${root}/server1`);
  const first = await publishRun(root, { kept: 'the past' });
  {
    await using shell = await Shell.open({ root });
    await shell.begin(first);
    await shell.put('before', PIECE);
  }
  execFileSync('sh', ['-c', 'dd if=/dev/zero of="$1" bs=64k 2>&1 || true', 'sh', `${root}/filler`]);
  {
    await using shell = await Shell.open({ root });
    const begun = await statusOf(shell.begin(first));
    if (typeof begun !== 'number') t.equal(await statusOf(shell.put('new', PIECE)), FULL);
  }
  rmSync(`${root}/filler`);
  await using shell = await Shell.open({ root });
  const { carried } = await shell.begin(first);
  const failures = await shell.tree((script) => {
    for (const token of carried) script.link(Buffer.from(`of-${token}`), token, Buffer.from('before'));
  });
  t.equal(carried.length - failures.length, 1, 'it is there when there is room again');
});
