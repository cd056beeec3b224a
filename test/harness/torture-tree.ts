import { randomFillSync } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { runTool } from './processes.ts';

const MIB = 1024 * 1024;
/** A user and group that this machine has no name for, and a user that it has one for. */
const STRANGER = 41_234;
const NOBODY = 65_534;

export interface TortureOptions {
  /** Length of the longest absolute path, in bytes. Default 4,000; 0 for none. */
  readonly deepPathBytes?: number;
  /** Names of one file in `many-links/`. The file system must take them. */
  readonly hardLinks?: number;
  /** Files in `many-entries/`. */
  readonly manyEntries?: number;
}

/** Fills the existing, empty `folder` (absolute) with everything that a Linux file system can hold. Needs root. */
export async function makeTortureTree(folder: string, options: TortureOptions = {}): Promise<void> {
  const at = (...names: (string | Buffer)[]): Buffer => join(folder, names);
  makeContents(at);
  makeOddNames(at);
  makeSparseFiles(at);
  makeHardLinks(at);
  makeSymlinks(at);
  await makeSpecialFiles(folder, at);
  makeModes(at);
  await makeAttributes(folder, at);
  if (options.deepPathBytes !== 0) makeDeepPath(folder, options.deepPathBytes ?? 4000);
  makeManyLinks(at, options.hardLinks ?? 0);
  makeManyEntries(at, options.manyEntries ?? 0);
  await setOddTimes(folder, at);
}

type At = (...names: (string | Buffer)[]) => Buffer;

/** Sizes around the borders of blocks, of SFTP packets and of what is kept in memory; contents that do not compress. */
function makeContents(at: At): void {
  mkdirSync(at('contents'));
  for (const sizeBytes of [
    0,
    1,
    4095,
    4096,
    4097,
    32_767,
    32_768,
    65_535,
    65_536,
    65_537,
    261_119,
    261_120,
    261_121,
    MIB - 1,
    MIB,
    MIB + 1,
    20 * MIB + 7,
  ]) {
    writeFileSync(at('contents', `${sizeBytes} bytes`), randomFillSync(Buffer.alloc(sizeBytes)));
  }
  const twice = randomFillSync(Buffer.alloc(100_000));
  writeFileSync(at('contents', 'twin 1'), twice);
  writeFileSync(at('contents', 'twin 2'), twice);
  mkdirSync(at('contents', 'empty folder'));
}

/** Every byte that a name may hold, and names that programs stumble over. */
export const ODD_NAMES: readonly Buffer[] = [
  Buffer.from('two\nlines'),
  Buffer.from('escape \x1b[31mred\x1b[0m \x1b]0;title\x07'),
  Buffer.from([0xff, 0xfe, 0x80, 0xc3, 0x28]),
  Buffer.from([...Array(0x2e).keys()].map((index) => index + 1)),
  Buffer.from([...Array(0x50).keys()].map((index) => index + 0x30)),
  Buffer.from([...Array(0x80).keys()].map((index) => index + 0x80)),
  Buffer.from('n'.repeat(255)),
  Buffer.concat(Array.from({ length: 255 }, () => Buffer.from([0x9b]))),
  Buffer.from('-rf'),
  Buffer.from(' '),
  Buffer.from(' blanks before and after '),
  Buffer.from('*?[a-z]{x,y}'),
  Buffer.from('quote\'s "and" `ticks` $(id) $HOME'),
  Buffer.from('back\\slash\\'),
  Buffer.from('...'),
  Buffer.from('.hidden'),
  Buffer.from('tab\tand\rreturn'),
  Buffer.from('\u00fc composed'),
  Buffer.from('u\u0308 decomposed'),
  Buffer.from('\u202egnp.exe'),
  Buffer.from('100%41%00'),
  Buffer.from('#comment ~ !bang'),
  Buffer.from('2024_04_18_01.incomplete'),
  Buffer.from('latest'),
  Buffer.from('.bakker'),
  Buffer.from('\x7f'),
];

function makeOddNames(at: At): void {
  mkdirSync(at('names'));
  mkdirSync(at('folders'));
  for (const name of ODD_NAMES) {
    writeFileSync(at('names', name), name);
    mkdirSync(at('folders', name));
    writeFileSync(at('folders', name, name), name);
  }
  // Order by component is not order by bytes of the path: `a/b` against `a-b` and `a!`.
  for (const name of ['a', 'a b', 'a!', 'a-', 'a0']) {
    mkdirSync(at('folders', name));
    writeFileSync(at('folders', name, 'inside'), name);
  }
}

function makeSparseFiles(at: At): void {
  mkdirSync(at('sparse'));
  for (const { name, sizeBytes, dataAt } of [
    { name: 'only hole', sizeBytes: 64 * MIB, dataAt: [] },
    { name: 'hole first', sizeBytes: 8 * MIB + 4096, dataAt: [8 * MIB] },
    { name: 'hole last', sizeBytes: 8 * MIB + 1, dataAt: [0] },
    { name: 'hole between', sizeBytes: 9 * MIB, dataAt: [0, 4 * MIB, 9 * MIB - 4096] },
    { name: 'small with hole', sizeBytes: 20_000, dataAt: [16_384] },
  ]) {
    const descriptor = openSync(at('sparse', name), 'w');
    ftruncateSync(descriptor, sizeBytes);
    for (const offsetBytes of dataAt)
      writeSync(descriptor, randomFillSync(Buffer.alloc(3000)), 0, 3000, offsetBytes);
    closeSync(descriptor);
  }
}

function makeHardLinks(at: At): void {
  mkdirSync(at('links'));
  mkdirSync(at('links', 'first'));
  mkdirSync(at('links', 'second'));
  writeFileSync(at('links', 'first', 'z'), 'three names in two folders');
  linkSync(at('links', 'first', 'z'), at('links', 'first', 'a'));
  linkSync(at('links', 'first', 'z'), at('links', 'second', 'm'));
  writeFileSync(at('links', 'first', 'same content'), 'three names in two folders');
  writeFileSync(at('links', 'empty 1'), '');
  linkSync(at('links', 'empty 1'), at('links', 'empty 2'));
  symlinkSync('first/z', at('links', 'symlink 1'));
  linkSync(at('links', 'symlink 1'), at('links', 'symlink 2'));
  writeFileSync(at('links', 'big 1'), randomFillSync(Buffer.alloc(3 * MIB)));
  linkSync(at('links', 'big 1'), at('links', 'second', 'big 2'));
}

function makeSymlinks(at: At): void {
  mkdirSync(at('symlinks'));
  symlinkSync('nowhere/at all', at('symlinks', 'dangling'));
  symlinkSync('/etc/passwd', at('symlinks', 'absolute'));
  symlinkSync('../contents', at('symlinks', 'to a folder'));
  symlinkSync('.', at('symlinks', 'to itself'));
  symlinkSync('loop', at('symlinks', 'loop'));
  symlinkSync('../../../../../../../../etc', at('symlinks', 'upwards'));
  symlinkSync(Buffer.from([0xff, 0x0a, 0x1b]), at('symlinks', 'odd target'));
  symlinkSync('x'.repeat(1000), at('symlinks', 'long target'));
  symlinkSync('target/', at('symlinks', 'slash at the end'));
  symlinkSync('strange owner', at('symlinks', 'owned'));
  lchownSync(at('symlinks', 'owned'), STRANGER, STRANGER);
}

async function makeSpecialFiles(folder: string, at: At): Promise<void> {
  mkdirSync(at('special'));
  const inside = `${folder}/special`;
  await runTool('mkfifo', ['-m', '620', `${inside}/fifo`]);
  linkSync(at('special', 'fifo'), at('special', 'fifo again'));
  await runTool('mknod', ['-m', '640', `${inside}/null`, 'c', '1', '3']);
  await runTool('mknod', ['-m', '660', `${inside}/far device`, 'b', '259', '70000']);
  const bind = 'import socket, os, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind("socket")';
  await runTool('python3', ['-c', bind, inside]);
}

function makeModes(at: At): void {
  mkdirSync(at('modes'));
  for (const mode of [0o0000, 0o0400, 0o0644, 0o0755, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777, 0o4000]) {
    const name = mode.toString(8).padStart(4, '0');
    writeFileSync(at('modes', `file ${name}`), name);
    chownSync(at('modes', `file ${name}`), STRANGER, NOBODY);
    chmodSync(at('modes', `file ${name}`), mode);
    mkdirSync(at('modes', `folder ${name}`));
    writeFileSync(at('modes', `folder ${name}`, 'inside'), name);
    chownSync(at('modes', `folder ${name}`), NOBODY, STRANGER);
    chmodSync(at('modes', `folder ${name}`), mode);
  }
}

async function makeAttributes(folder: string, at: At): Promise<void> {
  mkdirSync(at('attributes'));
  const inside = `${folder}/attributes`;
  for (const name of ['acl', 'mask', 'xattrs', 'trusted', 'capability', 'all'])
    writeFileSync(at('attributes', name), name);
  for (const name of ['acl folder', 'default acl', 'xattr folder']) mkdirSync(at('attributes', name));
  await runTool('setfacl', [
    '-m',
    `u:nobody:rwx,u:${STRANGER}:r,g:daemon:r-x,g:${STRANGER}:-`,
    `${inside}/acl`,
  ]);
  await runTool('setfacl', ['-m', 'u:daemon:rwx,m::r', `${inside}/mask`]);
  await runTool('setfacl', ['-m', 'u:daemon:rwx', `${inside}/acl folder`]);
  await runTool('setfacl', ['-d', '-m', 'u:daemon:rwx,g::-,o::-', `${inside}/default acl`]);
  writeFileSync(at('attributes', 'default acl', 'inherits'), 'inherits');
  mkdirSync(at('attributes', 'default acl', 'inherits too'));
  const setXattr = (file: string, name: string, value: string): Promise<string> =>
    runTool('setfattr', ['-h', '-n', name, ...(value === '' ? [] : ['-v', value]), `${inside}/${file}`]);
  await setXattr('xattrs', 'user.text', 'a comment');
  await setXattr('xattrs', 'user.bytes', '0x00ff0a1b00');
  await setXattr('xattrs', 'user.empty', '');
  await setXattr('xattrs', `user.${'n'.repeat(200)}`, 'long name');
  await setXattr('xattrs', 'user.large', `0x${'ab'.repeat(2000)}`);
  await setXattr('xattr folder', 'user.on a folder', 'yes');
  await setXattr('trusted', 'trusted.bakker', 'root only');
  chownSync(at('attributes', 'capability'), STRANGER, STRANGER);
  await runTool('setcap', ['cap_net_raw,cap_net_bind_service+ep', `${inside}/capability`]);
  chownSync(at('attributes', 'all'), NOBODY, STRANGER);
  chmodSync(at('attributes', 'all'), 0o4750);
  await runTool('setfacl', ['-m', 'u:daemon:rw', `${inside}/all`]);
  await setXattr('all', 'user.one', '1');
  await runTool('setcap', ['cap_chown+ei', `${inside}/all`]);
}

/** Folders of long names down to a file whose absolute path has exactly `pathBytes` bytes. */
function makeDeepPath(folder: string, pathBytes: number): void {
  let path = `${folder}/deep`;
  mkdirSync(path);
  while (pathBytes - path.length > 256) {
    path += `/${'d'.repeat(Math.min(250, pathBytes - path.length - 3))}`;
    mkdirSync(path);
  }
  writeFileSync(`${path}/${'f'.repeat(pathBytes - path.length - 1)}`, 'at the bottom');
}

function makeManyLinks(at: At, count: number): void {
  if (count === 0) return;
  mkdirSync(at('many-links'));
  writeFileSync(at('many-links', '0'), 'one file of many names');
  for (let index = 1; index < count; index += 1)
    linkSync(at('many-links', '0'), at('many-links', String(index)));
}

function makeManyEntries(at: At, count: number): void {
  if (count === 0) return;
  mkdirSync(at('many-entries'));
  for (let index = 0; index < count; index += 1)
    writeFileSync(at('many-entries', `entry ${index}`), String(index % 1000));
}

/** Last, because making things changes times. */
async function setOddTimes(folder: string, at: At): Promise<void> {
  mkdirSync(at('times'));
  const inside = `${folder}/times`;
  const seconds = [
    '-1.000000001',
    '-1000000000.123456789',
    '0',
    '1.999999999',
    '1700000000.000000001',
    '4102444800.5',
  ];
  for (const time of seconds) {
    writeFileSync(at('times', `file ${time}`), time);
    mkdirSync(at('times', `folder ${time}`));
    symlinkSync('nowhere', at('times', `symlink ${time}`));
    for (const kind of ['file', 'folder', 'symlink'])
      await runTool('touch', ['-h', '-d', `@${time}`, `${inside}/${kind} ${time}`]);
  }
  for (const name of ['special/fifo', 'special/null', 'special/socket', 'special']) {
    await runTool('touch', ['-h', '-d', '@1234567890.987654321', `${folder}/${name}`]);
  }
  await runTool('touch', ['-d', '@1000000000.111111111', inside, folder]);
}

function join(folder: string, names: readonly (string | Buffer)[]): Buffer {
  const parts = names.flatMap((name) => [Buffer.from('/'), Buffer.from(name)]);
  return Buffer.concat([Buffer.from(folder), ...parts]);
}
