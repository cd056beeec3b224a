import t from 'tap';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compareTrees } from '../../../../test/harness/compare-trees.ts';
import { World } from './world.ts';

const NOBODY = 65_534;

interface Told {
  readonly files: number;
  readonly skipped: number;
  readonly failed: number;
  readonly damaged: number;
  readonly warnings: readonly string[];
}

function restoreAsNobody(world: World): Told {
  const script = fileURLToPath(new URL('restore-as-user.ts', import.meta.url));
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--'];
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', script, world.storage, world.back];
  return JSON.parse(execFileSync('setpriv', [...user, ...node], { encoding: 'utf8' })) as Told;
}

t.test('without root, all is restored that may be, and the rest is counted with examples', async (t) => {
  await using world = new World();
  mkdirSync(`${world.source}/closed/deep`, { recursive: true });
  writeFileSync(`${world.source}/closed/deep/file`, 'read-only, in a folder that is read-only');
  writeFileSync(`${world.source}/private`, 'secret');
  writeFileSync(`${world.source}/setuid`, 'x');
  writeFileSync(`${world.source}/capable`, 'x');
  writeFileSync(`${world.source}/large`, Buffer.alloc(2_000_000, 3));
  symlinkSync('private', `${world.source}/link`);
  execFileSync('mkfifo', [`${world.source}/fifo`]);
  execFileSync('mknod', [`${world.source}/null`, 'c', '1', '3']);
  execFileSync('setcap', ['cap_net_raw+ep', `${world.source}/capable`]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', `${world.source}/closed/deep/file`]);
  execFileSync('setfacl', ['-m', 'u:12345:r', `${world.source}/private`]);
  chmodSync(`${world.source}/setuid`, 0o4755);
  chmodSync(`${world.source}/closed/deep/file`, 0o444);
  chmodSync(`${world.source}/closed/deep`, 0o555);
  chmodSync(`${world.source}/closed`, 0o500);
  await world.backUp();
  chmodSync(world.folder, 0o755);
  execFileSync('chmod', ['-R', 'a+rX', world.storage]);
  mkdirSync(world.back);
  chownSync(world.back, NOBODY, NOBODY);

  const told = restoreAsNobody(world);
  t.equal(told.damaged, 0);
  t.equal(told.failed, 1, 'the device');
  t.match(told.warnings.join('\n'), /could not set owner \(EPERM\) of \d+ paths: .*, …/);
  t.match(told.warnings.join('\n'), /could not set setuid bits \(EPERM\) of 1 path: .*\/setuid/);
  t.match(told.warnings.join('\n'), /could not set capability \(EPERM\) of 1 path: .*\/capable/);
  t.match(told.warnings.join('\n'), /null could not be restored: not permitted \(EPERM\)/);
  t.equal(lstatSync(`${world.restored}/setuid`).mode & 0o7777, 0o755, 'never setuid for another owner');
  execFileSync('rm', [`${world.source}/null`]);
  execFileSync('setcap', ['-r', `${world.source}/capable`]);
  execFileSync('touch', ['-r', world.restored, world.source]);
  chmodSync(`${world.source}/setuid`, 0o755);
  t.same(await compareTrees(world.source, world.restored, { owners: false }), []);

  writeFileSync(`${world.restored}/private`, 'changed');
  const again = restoreAsNobody(world);
  t.equal(again.files, 1, 'only what changed is written, in folders that are closed as well');
  t.same(await compareTrees(world.source, world.restored, { owners: false }), []);
});
