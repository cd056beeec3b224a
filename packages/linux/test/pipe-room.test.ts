import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import t from 'tap';
import { widenPipe } from '../src/pipe-room.ts';

const WIDE_BYTES = 256 * 1024;

t.test('a pipe takes what it was given room for, and what is no pipe stays as it is', (t) => {
  const folder = t.testdir();
  const content = Buffer.alloc(WIDE_BYTES);
  execFileSync('mkfifo', [`${folder}/pipe`]);
  const pipe = openSync(`${folder}/pipe`, constants.O_RDWR | constants.O_NONBLOCK);
  widenPipe(pipe, WIDE_BYTES);
  t.equal(writeSync(pipe, content), WIDE_BYTES);
  closeSync(pipe);

  writeFileSync(`${folder}/file`, 'as it was');
  const file = openSync(`${folder}/file`, 'r+');
  widenPipe(file, WIDE_BYTES);
  closeSync(file);
  t.equal(readFileSync(`${folder}/file`, 'utf8'), 'as it was');
  t.doesNotThrow(() => widenPipe(9999, WIDE_BYTES));
  t.end();
});
