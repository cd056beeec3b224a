import * as fs from 'node:fs';
import t from 'tap';
import { mountThinDisk } from '../../../test/harness/thin-disk.ts';
import { FilesystemFlush, syncFilesystem, syncFilesystemLater } from '../src/index.ts';

const PIECE = Buffer.alloc(16 * 2 ** 20, 7);

t.test('the kernel tells of an error once for each opening, on another thread as well', async (t) => {
  await using disk = await mountThinDisk();
  const [one, other] = [fs.openSync(disk.folder, 'r'), fs.openSync(disk.folder, 'r')];
  disk.exhaust();
  fs.writeFileSync(`${disk.folder}/file`, PIECE);
  await t.rejects(syncFilesystemLater(one), { code: /ENOSPC|EIO/ });
  t.doesNotThrow(() => syncFilesystem(one), 'which is why a failure has to be remembered');
  t.throws(() => syncFilesystem(other), { code: /ENOSPC|EIO/ });
  for (const fd of [one, other]) fs.closeSync(fd);
  await t.rejects(syncFilesystemLater(one), { code: 'EBADF' });
});

t.test('what an early flush failed with, every later one fails with, and it is told at once', async (t) => {
  await using disk = await mountThinDisk();
  const fd = fs.openSync(disk.folder, 'r');
  disk.exhaust();
  const told = Promise.withResolvers<void>();
  let times = 0;
  {
    await using flush = new FilesystemFlush(fd, () => {
      times++;
      told.resolve();
    });
    t.doesNotThrow(() => flush.check());
    for (let index = 0; index < 4; index++) {
      fs.writeFileSync(`${disk.folder}/${index}`, PIECE);
      flush.wrote(PIECE.length);
    }
    await told.promise;
    t.ok(flush.hasFailed);
    disk.relieve();
    for (const attempt of [1, 2])
      await t.rejects(flush.flush(), { code: /ENOSPC|EIO/ }, `attempt ${attempt}`);
    t.equal(times, 1);
  }
  {
    await using flush = new FilesystemFlush(fd);
    fs.writeFileSync(`${disk.folder}/well`, 'well');
    await flush.flush();
    t.notOk(flush.hasFailed, 'one that begins later has nothing to do with it');
  }
  fs.closeSync(fd);
});
