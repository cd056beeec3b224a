import t from 'tap';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dropFromCache, libc, readAheadOf } from '../src/index.ts';
import { temporaryFolder } from './temporary-folder.ts';

t.test('dropping a file from the cache leaves its content, and reading ahead too', (t) => {
  using folder = temporaryFolder('cache');
  const file = `${folder.path}/file`;
  const fd = openSync(file, 'w');
  writeSync(fd, 'content');
  fsyncSync(fd);
  dropFromCache(fd);
  t.equal(libc().posix_fadvise(fd, 0, 0, 4), 0, 'the call itself is taken');
  readAheadOf(fd, { offsetBytes: 0, lengthBytes: 1 << 30 });
  t.equal(libc().posix_fadvise(fd, 4096, 4096, 3), 0);
  closeSync(fd);
  t.equal(readFileSync(file, 'utf8'), 'content');
  t.end();
});
