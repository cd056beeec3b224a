import { openFolder } from '@bakker/linux';
import { OPEN } from '@bakker/sftp';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import t from 'tap';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { SEATS, trySeat, tryStandingRoom } from '../../src/adapters/account/locks.ts';
import { Shell, publishRun, temporaryRoot } from './shell-client.ts';

async function read(shell: Shell, path: string): Promise<string> {
  const handle = await shell.client.open(Buffer.from(path), OPEN.READ);
  return (await shell.client.read(handle, 0, 1000)).toString();
}

t.test(
  'a file system that is mounted read-only gives everything back, and says why it takes nothing',
  async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 << 20 });
    const root = disk.folder;
    for (const name of ['server1', 'new']) mkdirSync(`${root}/${name}`);
    const run = await publishRun(root, { file: 'the past' });
    execFileSync('mount', ['-o', 'remount,ro', root]);
    for (const role of ['restore', 'backup'] as const) {
      await using shell = await Shell.open({ root, role });
      t.same((await shell.list()).latest, run, role);
      t.equal(await read(shell, `/${run}/file`), 'the past', role);
      if (role === 'backup') await t.rejects(shell.begin(run), /mounted read-only/);
      t.equal(await shell.end(), 0, shell.stderr);
    }
    await using fresh = await Shell.start({ root, account: 'new' });
    await t.rejects(fresh.hello(), /mounted read-only/, 'an account that was never written to');
    t.notOk(existsSync(`${root}/new/.bakker`));
  },
);

t.test('who finds no seat is told so, and few are told at once', async (t) => {
  using root = temporaryRoot('seats');
  await publishRun(root.path, { file: 'x' });
  using account = openFolder(Buffer.from(root.account));
  using taken = new DisposableStack();
  for (let index = 0; index < SEATS; index++) taken.use(trySeat(account, { mayMake: false }) ?? null);
  for (const role of ['restore', 'backup'] as const) {
    await using refused = await Shell.start({ root: root.path, role });
    await t.rejects(refused.hello(), /32 sessions are open in the account server1/, role);
    t.equal(await refused.end(), 11);
  }
  for (let room = tryStandingRoom(account); room !== undefined; room = tryStandingRoom(account))
    taken.use(room);
  await t.rejects(Shell.start({ root: root.path }));
  taken.dispose();
  await using served = await Shell.open({ root: root.path });
  t.equal((await served.list()).runs.length, 1);
});
