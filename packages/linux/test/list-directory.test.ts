import { mkdirSync, openSync, closeSync, readdirSync, lstatSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { DIRENT, DirectoryListing, listDirectory } from '../src/list-directory.ts';
import { temporaryFolder } from './temporary-folder.ts';

t.test('a listing has every name with inode and type, sorted by bytes', (t) => {
  using folder = temporaryFolder('list');
  const names = [
    'a',
    'b',
    'a b',
    'aa',
    '...',
    '.hidden',
    'é',
    'x'.repeat(255),
    'common-1',
    'common-10',
    'common-2',
  ];
  for (const name of names) writeFileSync(`${folder.path}/${name}`, '');
  writeFileSync(Buffer.from(`${folder.path}/\xff\xfe`, 'latin1'), '');
  mkdirSync(`${folder.path}/folder`);
  symlinkSync('nowhere', `${folder.path}/link`);
  const listing = list(folder.path);
  const expected = readdirSync(Buffer.from(folder.path), { encoding: 'buffer' }).sort((a, b) => a.compare(b));
  t.same(namesOf(listing.sort()), expected);
  for (let number = 0; number < listing.count; number++) {
    const name = listing.name(number);
    const stat = lstatSync(Buffer.concat([Buffer.from(`${folder.path}/`), name]), { bigint: true });
    t.equal(listing.inode(number), stat.ino);
    const type = stat.isDirectory() ? DIRENT.DIRECTORY : stat.isSymbolicLink() ? DIRENT.SYMLINK : DIRENT.FILE;
    t.equal(listing.type(number), type);
    t.same(listing.cName(number), Buffer.concat([name, Buffer.of(0)]));
    t.equal(listing.lowerBound(name), number);
    t.equal(listing.lowerBound(Buffer.concat([name, Buffer.of(1)])), number + 1);
  }
  t.same(namesOf(new DirectoryListing(listing.memory)), expected, 'as another thread sees it');
  t.end();
});

t.test('an empty folder and one of 20,000 names are listed whole', (t) => {
  using folder = temporaryFolder('list');
  t.equal(list(folder.path).count, 0);
  t.equal(list(folder.path).sort().lowerBound(Buffer.from('a')), 0);
  for (let i = 0; i < 20_000; i++) writeFileSync(`${folder.path}/some-name-${(i * 7919) % 20_000}`, '');
  t.same(
    namesOf(list(folder.path).sort()),
    readdirSync(Buffer.from(folder.path), { encoding: 'buffer' }).sort((a, b) => a.compare(b)),
  );
  t.end();
});

t.test('what is no folder is refused', (t) => {
  using folder = temporaryFolder('list');
  writeFileSync(`${folder.path}/file`, '');
  t.throws(() => list(`${folder.path}/file`), { code: 'ENOTDIR' });
  t.end();
});

function list(path: string): DirectoryListing {
  const fd = openSync(path, 'r');
  try {
    return listDirectory(fd);
  } finally {
    closeSync(fd);
  }
}

function namesOf(listing: DirectoryListing): Buffer[] {
  return Array.from({ length: listing.count }, (_, number) => listing.name(number));
}
