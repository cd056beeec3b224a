import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { getXattr, setMtime, setXattr } from '@bakker/linux';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import { cloneWorld } from './clone-world.ts';

const MTIME_NS = 1_713_488_400_123_456_789n;
const HASH = Buffer.alloc(32, 7);

t.test(
  'a file with all the links that ext4 allows is copied once, with all that is known of it',
  async (t) => {
    await using filesystem = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 256e6 });
    await using world = cloneWorld({ 'a/file': 'content', 'b/other': 'x' }, { folder: filesystem.folder });
    const file = join(world.parent, 'a/file');
    setXattr(Buffer.from(file), { name: 'user.bakker.sha256', value: HASH });
    chmodSync(file, 0o500);
    setMtime(Buffer.from(file), MTIME_NS);
    for (let i = 1; i < 1000; i++) linkSync(file, join(world.parent, `a/twin-${i}`));
    mkdirSync(join(world.top, 'links'));
    for (let i = 1000; i < 65_000; i++) linkSync(file, join(world.top, `links/${i}`));
    t.throws(() => linkSync(file, join(world.top, 'links/more')), { code: 'EMLINK' });

    const link = { kind: 'link' as const, path: Buffer.from('new'), folder: '', from: Buffer.from('a/file') };
    t.strictSame(await world.apply([link, { kind: 'keep-rest' }]), []);
    const copy = lstatSync(join(world.run, 'a/file'), { bigint: true });
    t.not(copy.ino, lstatSync(file, { bigint: true }).ino);
    t.equal(copy.nlink, 1001n, 'one copy with all names');
    t.equal(copy.mtimeNs, MTIME_NS);
    t.equal(copy.mode & 0o7777n, 0o500n);
    t.strictSame(getXattr(Buffer.from(join(world.run, 'new')), 'user.bakker.sha256'), HASH);
    t.equal(readFileSync(join(world.run, 'a/twin-999'), 'utf8'), 'content');
    t.equal(lstatSync(join(world.run, 'b/other')).nlink, 2, 'what can be linked is');
    t.equal(lstatSync(file).nlink, 65_000);
    t.same(world.copiedBytes, [7], 'the account is charged for it, once');
    t.match(await world.cloner.finish(), { files: 1002, keptFiles: 1002, parentFiles: 1001, bytes: 7008 });
  },
);

t.test('a full disk fails the script and leaves the parent as it was', async (t) => {
  await using filesystem = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 16e6 });
  await using world = cloneWorld({}, { folder: filesystem.folder });
  for (let i = 0; i < 1000; i++) mkdirSync(join(world.parent, `folder-${i}`));
  const before = world.tree('parent');
  t.throws(
    () => {
      for (let i = 0; ; i++) writeFileSync(join(world.top, `fill-${i}`), Buffer.alloc(1e6));
    },
    { code: 'ENOSPC' },
  );
  await t.rejects(world.apply([{ kind: 'keep-rest' }]), { code: 'ENOSPC' });
  t.strictSame(world.tree('parent'), before);
});
