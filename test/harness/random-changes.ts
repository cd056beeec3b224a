import {
  chmodSync,
  closeSync,
  copyFileSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { dateOf, look, NothingToDo, tool, touch, type RandomTree } from './random-tree.ts';

/** Changes a tree as often as told; the same for the same numbers and the same tree. */
export function changeAtRandom(tree: RandomTree, times: number): void {
  for (let done = 0; done < times;) {
    const fileCount = tree.files().length;
    const some = fileCount < FEWEST_FILES ? makeFile : tree.pick(OFTEN);
    const change = fileCount > MOST_FILES ? removeSomething : some;
    try {
      change(tree);
      done += 1;
    } catch (error) {
      if (!(error instanceof NothingToDo)) throw error;
    }
  }
}

type Change = (tree: RandomTree) => void;

const FEWEST_FILES = 90;
const MOST_FILES = 150;

function makeFile(tree: RandomTree): void {
  const path = tree.fresh();
  writeFileSync(path, tree.content(tree.sizeBytes()), { flag: 'wx' });
  if (tree.chance(0.6)) tree.date(path);
  if (tree.chance(0.2)) chmodSync(path, tree.pick(MODES));
}

const MODES = [0o644, 0o755, 0o600, 0o4755, 0o2711, 0, 0o1777, 0o400];

/** A program that writes in place and keeps the time: rsync --inplace -t, cp -p, a build that dates everything alike. */
function writeUnseen(tree: RandomTree): void {
  const path = tree.file();
  const date = dateOf(path);
  const sizeBytes = Number(look(path).size);
  tree.writesUnseen(path);
  if (tree.chance(0.6)) write(path, 0, tree.content(sizeBytes));
  else write(path, tree.upTo(sizeBytes), tree.content(1));
  touch(path, date);
  if (Number(look(path).size) !== sizeBytes) truncateSync(path, sizeBytes);
}

function writeSomewhere(tree: RandomTree): void {
  const path = tree.file();
  tree.writes(path);
  write(path, tree.upTo(Number(look(path).size) + 1), tree.content(tree.pick([1, 5000, 66_000])));
}

function resize(tree: RandomTree): void {
  const path = tree.file();
  const sizeBytes = Number(look(path).size);
  tree.writes(path);
  // gives back what XFS has allocated ahead, which would be data in the hole for whoever comes while it is in memory
  truncateSync(path, sizeBytes);
  truncateSync(path, tree.pick([0, Math.floor(sizeBytes / 2), sizeBytes + 1, sizeBytes + 300_000]));
}

function makeSparse(tree: RandomTree): void {
  const path = tree.fresh();
  const file = openSync(path, 'wx');
  ftruncateSync(file, 600_000);
  if (tree.chance(0.7)) writeSync(file, tree.content(3000), 0, 3000, tree.upTo(590_000));
  closeSync(file);
}

function punch(tree: RandomTree): void {
  const path = tree.pick(tree.files().filter((file) => look(file).size > 65_536));
  tree.writes(path);
  const from = tree.upTo(Number(look(path).size));
  tool('fallocate', ['-p', '-o', `${from}`, '-l', `${tree.pick([4096, 65_536, 200_000])}`, path]);
}

function rename(tree: RandomTree): void {
  const path = tree.anything();
  const to = tree.fresh();
  move(tree, path, to);
}

/** Of a folder, too: what stood there goes first. */
function renameOver(tree: RandomTree): void {
  const [path, to] = [tree.anything(), tree.anything()];
  if (isWithin(path, to) || isWithin(to, path)) throw new NothingToDo();
  tree.explains(path);
  tree.remove(to);
  renameSync(path, to);
}

function swap(tree: RandomTree): void {
  const path = tree.anything();
  const alike = tree.files().filter((file) => look(file).size === look(path).size);
  const other = tree.chance(0.5) ? tree.pick(alike) : tree.anything();
  if (isWithin(path, other) || isWithin(other, path)) throw new NothingToDo();
  tree.explains(path);
  tree.explains(other);
  const between = `${tree.root}.between`;
  renameSync(path, between);
  renameSync(other, path);
  renameSync(between, other);
}

function link(tree: RandomTree): void {
  const path = tree.anything();
  if (look(path).isDirectory()) throw new NothingToDo();
  const to = tree.fresh();
  tree.explains(path);
  linkSync(path, to);
}

/** One of several names becomes a file of its own, which may look like the others. */
function leaveGroup(tree: RandomTree): void {
  const path = tree.pick(tree.files().filter((file) => look(file).nlink > 1));
  const date = dateOf(path);
  const content = tree.chance(0.5) ? readFileSync(path) : tree.content(Number(look(path).size));
  tree.remove(path);
  writeFileSync(path, content);
  if (tree.chance(0.7)) touch(path, date);
}

/** Another file that looks like one that is gone, where it can be had with its inode, too. */
function makeAnew(tree: RandomTree): void {
  const path = tree.file();
  const date = dateOf(path);
  const { size, mode, ino } = look(path);
  const to = tree.chance(0.7) ? path : tree.fresh();
  tree.remove(path);
  makeWithInode(ino, to);
  writeFileSync(to, tree.content(Number(size)));
  chmodSync(to, tree.chance(0.5) ? Number(mode & 0o7777n) : tree.pick(MODES));
  touch(to, date);
}

/** File systems give the lowest number, or the next: what else is free is taken meanwhile. */
function makeWithInode(inode: bigint, path: string): void {
  const taken: string[] = [];
  // XFS frees inodes later, unless somebody asks what is free
  statfsSync(dirname(path));
  for (;;) {
    const next = `${dirname(path)}/.taken ${taken.length}`;
    writeFileSync(next, '', { flag: 'wx' });
    if (look(next).ino === inode || taken.length === MOST_TAKEN) {
      renameSync(next, path);
      break;
    }
    taken.push(next);
  }
  for (const other of taken) rmSync(other);
}

const MOST_TAKEN = 40;

/** As editors and rsync replace a file. */
function replace(tree: RandomTree): void {
  const path = tree.file();
  const beside = `${tree.root}.beside`;
  writeFileSync(beside, tree.content(Number(look(path).size)));
  touch(beside, dateOf(path));
  tree.remove(path);
  renameSync(beside, path);
}

function copy(tree: RandomTree): void {
  const path = tree.file();
  const to = tree.fresh();
  copyFileSync(path, to);
  if (tree.chance(0.6)) touch(to, dateOf(path));
}

function copyFolder(tree: RandomTree): void {
  const [path, to] = [tree.pick(tree.folders()), tree.fresh()];
  if (isWithin(to, path) || tree.files().filter((file) => isWithin(file, path)).length > 30)
    throw new NothingToDo();
  tool('cp', ['-a', path, to]);
}

function changeType(tree: RandomTree): void {
  const path = tree.anything();
  tree.remove(path);
  const make = tree.pick([
    () => mkdirSync(path),
    () => symlinkSync(tree.pick(['nowhere', '.', '/etc', 'x'.repeat(1000)]), path),
    () => symlinkSync(tree.pick(tree.folders()), path),
    () => tool('mkfifo', [path]),
    () => tool('mknod', [path, 'c', `${tree.upTo(300)}`, `${tree.upTo(70_000)}`]),
    () => writeFileSync(path, tree.content(tree.sizeBytes())),
  ]);
  make();
}

function makeFolder(tree: RandomTree): void {
  mkdirSync(tree.fresh());
}

function removeSomething(tree: RandomTree): void {
  tree.remove(tree.anything());
}

function date(tree: RandomTree): void {
  tree.date(tree.anything());
}

function changeMode(tree: RandomTree): void {
  const path = withAttributes(tree);
  chmodSync(path, tree.pick(MODES));
}

function changeOwner(tree: RandomTree): void {
  const path = tree.anything();
  tree.explains(path);
  lchownSync(path, tree.pick([0, 1, 41_234]), tree.pick([0, 1, 41_234]));
}

function changeAttributes(tree: RandomTree): void {
  const path = withAttributes(tree);
  const change = tree.pick([
    () => tool('setfattr', ['-n', 'user.one', '-v', `${tree.upTo(9)}`, path]),
    () => tool('setfattr', ['-n', `trusted.${tree.upTo(3)}`, '-v', '0x00ff', path]),
    () => tool('setfacl', ['-m', `u:41234:${tree.pick(['r', 'rwx', '-'])},m::rx`, path]),
    () => tool('setfacl', ['-b', path]),
    () => tool('setfacl', [...(look(path).isDirectory() ? ['-d'] : []), '-m', 'g:daemon:rwx', path]),
    () => look(path).isFile() && tool('setcap', ['cap_net_raw+ep', path]),
  ]);
  change();
}

/** No symlink: these tools follow them. */
function withAttributes(tree: RandomTree): string {
  const path = tree.chance(0.7) ? tree.file() : tree.pick(tree.folders());
  tree.explains(path);
  return path;
}

function move(tree: RandomTree, path: string, to: string): void {
  if (isWithin(to, path)) throw new NothingToDo();
  tree.explains(path);
  renameSync(path, to);
}

function write(path: string, offsetBytes: number, content: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, content, 0, content.length, offsetBytes);
  closeSync(file);
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** How often each is drawn. */
const SHARES: readonly (readonly [Change, number])[] = [
  [makeFile, 8],
  [writeUnseen, 10],
  [writeSomewhere, 6],
  [resize, 4],
  [makeSparse, 1],
  [punch, 3],
  [rename, 8],
  [renameOver, 3],
  [swap, 5],
  [link, 6],
  [leaveGroup, 5],
  [makeAnew, 10],
  [replace, 4],
  [copy, 4],
  [copyFolder, 1],
  [changeType, 4],
  [makeFolder, 2],
  [removeSomething, 4],
  [date, 5],
  [changeMode, 3],
  [changeOwner, 3],
  [changeAttributes, 6],
];
const OFTEN = SHARES.flatMap(([change, share]) => Array<Change>(share).fill(change));
