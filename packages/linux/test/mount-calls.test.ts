import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import {
  bindMount,
  makeReadOnly,
  mountFilesystem,
  MS_NODEV,
  MS_NOSUID,
  unmount,
} from '../src/mount-calls.ts';
import { readMounts } from '../src/mounts.ts';
import { temporaryFolder } from './temporary-folder.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const tmpfs = (at: Buffer, options = '') =>
  mountFilesystem({ source: 'tmpfs', at, type: 'tmpfs', flags: MS_NOSUID | MS_NODEV, options });

t.test(
  'a file system is mounted on a name of any bytes, shown elsewhere read-only, and unmounted',
  async (t) => {
    using folder = temporaryFolder('mount');
    const at = bytes(`${folder.path}/\xfflive`);
    const shown = bytes(`${folder.path}/shown`);
    for (const path of [at, shown]) fs.mkdirSync(path);
    await tmpfs(at, 'size=1m');
    // As systemd has it: else nothing would be passed on in any case.
    execFileSync('bash', ['-c', `mount --make-shared ${folder.path}/*live`]);
    fs.mkdirSync(Buffer.concat([at, bytes('/inner')]));
    fs.writeFileSync(Buffer.concat([at, bytes('/file')]), 'kept');
    bindMount(at, shown);
    makeReadOnly(shown);
    t.equal(fs.readFileSync(`${folder.path}/shown/file`, 'utf8'), 'kept');
    t.throws(() => fs.writeFileSync(`${folder.path}/shown/file`, 'x'), { code: 'EROFS' });
    fs.writeFileSync(Buffer.concat([at, bytes('/file')]), 'still writable there');

    await tmpfs(bytes(`${folder.path}/shown/inner`));
    const mountPoints = readMounts().map(({ mountPoint }) => mountPoint.toString('latin1'));
    t.ok(mountPoints.includes(`${folder.path}/shown/inner`));
    t.notOk(
      mountPoints.includes(`${at.toString('latin1')}/inner`),
      'nothing is mounted at the original by mounting at what shows it',
    );
    t.throws(() => unmount(shown), { code: 'EBUSY' });
    for (const path of [bytes(`${folder.path}/shown/inner`), shown, at]) t.equal(unmount(path), true);
    t.equal(unmount(at), false, 'what is not mounted is no error');
    t.equal(unmount(bytes(`${folder.path}/never`)), false);
  },
);

t.test('a mount that can not be made says why', async (t) => {
  using folder = temporaryFolder('mount');
  await t.rejects(tmpfs(bytes(`${folder.path}/missing`)), { code: 'ENOENT', syscall: 'mount' });
  await t.rejects(tmpfs(bytes(folder.path), 'size=nonsense'), { code: 'EINVAL' });
  t.throws(() => bindMount(bytes(`${folder.path}/missing`), bytes(folder.path)), { code: 'ENOENT' });
});
