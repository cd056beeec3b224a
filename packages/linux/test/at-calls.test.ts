import {
  closeSync,
  constants,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  linkAt,
  makeFolderAt,
  makeSymlinkAt,
  openAt,
  openFolder,
  readSymlinkAt,
  removeFolderAt,
  renameNewAt,
  renameOverAt,
  unlinkAt,
} from '../src/index.ts';
import { temporaryFolder } from './temporary-folder.ts';

t.test('names are made, linked, renamed and removed in an open folder, wherever its path has gone', (t) => {
  using temporary = temporaryFolder('at-calls');
  const top = temporary.path;
  mkdirSync(join(top, 'before'));
  using folder = openFolder(Buffer.from(join(top, 'before')));
  const at = (name: string) => ({ folder, name: Buffer.from(name) });
  renameOverAt(
    { folder: openFolder(Buffer.from(top)), name: Buffer.from('before') },
    { folder: openFolder(Buffer.from(top)), name: Buffer.from('after') },
  );
  t.equal(makeFolderAt(at('sub'), 0o700), true);
  t.equal(makeFolderAt(at('sub'), 0o700), false, 'a taken name is said');
  closeSync(openAt(at('file'), { flags: constants.O_WRONLY | constants.O_CREAT, mode: 0o600 }));
  linkAt(at('file'), at('twin'));
  t.equal(statSync(join(top, 'after/twin')).nlink, 2);
  t.throws(() => linkAt(at('file'), at('twin')), { code: 'EEXIST' });
  makeSymlinkAt(at('sign'), Buffer.from([0x66, 0xff]));
  t.same(readlinkSync(join(top, 'after/sign'), 'buffer'), Buffer.from([0x66, 0xff]));
  t.same(readSymlinkAt(at('sign')), Buffer.from([0x66, 0xff]));
  t.equal(readSymlinkAt(at('file')), undefined, 'a file is no symlink');
  t.equal(readSymlinkAt(at('none')), undefined);
  t.throws(() => openAt(at('sign'), { flags: constants.O_RDONLY }), { code: 'ELOOP' });
  writeFileSync(join(top, 'after/other'), 'other');
  t.throws(() => renameNewAt(at('other'), at('file')), { code: 'EEXIST' });
  renameOverAt(at('other'), at('file'));
  t.equal(readFileSync(join(top, 'after/file'), 'utf8'), 'other');
  renameNewAt(at('file'), at('new'));
  t.equal(unlinkAt(at('file')), false, 'nothing there is no failure');
  t.equal(unlinkAt(at('new')), true);
  t.throws(() => unlinkAt(at('sub')), { code: 'EISDIR' });
  t.equal(removeFolderAt(at('sub')), true);
  t.equal(removeFolderAt(at('sub')), false);
  t.end();
});
