import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, rmSync, type BigIntStats } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pseudoRandomBytes } from './sample-tree.ts';

const NAMES = ['a', 'a b', 'a!', 'a-', 'ab', 'two\nlines', '-rf', '*', 'ü', '.hidden', 'x'.repeat(255)];
/** Around the borders of pages, of packets, of blocks that are told apart, and of what is sent in one request. */
const LARGE_BYTES = [65_535, 65_536, 131_073, 261_121, 262_143, 262_144, 262_145, 400_000, 1_100_000];
/** Few, so that many files are of one size, and some of one content. */
const SMALL_BYTES = [0, 1, 700, 5000];
/** Archives and builds date everything alike. */
const DATES = ['@1', '@1000000000.000000001', '@1700000000.123456789', '@-1.000000001', '@4102444800.5'];

const MOST_REMOVED = 6;
const OFTEN_ONE_IN = 16n;

/** Files of a tree, and what is drawn by lot when it is changed. */
export class RandomTree {
  readonly root: string;
  /** Numbers from 0 to 1. */
  readonly random: () => number;
  /** Inodes since they were read last: written, written with the mtime put back, given a new ctime that something else explains. */
  readonly #written = new Set<bigint>();
  readonly #putBack = new Set<bigint>();
  readonly #explained = new Set<bigint>();

  constructor(root: string, random: () => number) {
    this.root = root;
    this.random = random;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.upTo(items.length)];
    if (item === undefined) throw new NothingToDo();
    return item;
  }

  upTo(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  files(): string[] {
    return this.#list((stats) => stats.isFile());
  }

  /** Of those that may be renamed and removed: not those that a source names. */
  folders(): string[] {
    return this.#list((stats) => stats.isDirectory()).filter((path) => dirname(path) !== this.root);
  }

  others(): string[] {
    return this.#list((stats) => !stats.isDirectory() && !stats.isFile());
  }

  /** Some files come up again and again: what goes wrong takes several things in turn. */
  file(): string {
    const files = this.files();
    const often = files.filter((path) => inodeOf(path) % OFTEN_ONE_IN === 0n);
    return this.pick(often.length > 0 && this.chance(0.6) ? often : files);
  }

  anything(): string {
    return this.chance(0.6) ? this.file() : this.pick([...this.folders(), ...this.others()]);
  }

  /** A name that is not taken. */
  fresh(): string {
    const parent = this.pick([...this.folders(), ...this.#tops()]);
    const suffix = this.chance(0.15) ? '.skip' : '';
    const name = this.chance(0.2) ? this.pick(NAMES) : `${this.pick(['f', 'dir', 'z'])}${this.upTo(60)}`;
    const path = `${parent}/${name.slice(0, 250)}${suffix}`;
    if (Buffer.byteLength(path) > 3000 || exists(path)) throw new NothingToDo();
    return path;
  }

  sizeBytes(): number {
    return this.pick(this.chance(0.65) ? SMALL_BYTES : LARGE_BYTES);
  }

  /** Often one that another file has, too. */
  content(sizeBytes: number): Buffer {
    return pseudoRandomBytes(this.chance(0.5) ? `${this.upTo(3)}` : `${this.random()}`, sizeBytes);
  }

  /** Only what was made or read since it was written: its old mtime may be among these. */
  date(path: string): void {
    if (this.#written.has(inodeOf(path))) throw new NothingToDo();
    touch(path, this.pick(DATES));
  }

  /** Before a file is written in place. */
  writes(path: string): void {
    this.#written.add(inodeOf(path));
  }

  /** Before its mtime is put back, too: what scan.md says is not seen is not done. */
  writesUnseen(path: string): void {
    const inode = inodeOf(path);
    if (this.#explained.has(inode)) throw new NothingToDo();
    this.#putBack.add(inode);
    this.#written.add(inode);
  }

  /** Before something that gives the files at or below `path` a new ctime. */
  explains(path: string): void {
    const inodes = this.#below(path).map(inodeOf);
    if (inodes.some((inode) => this.#putBack.has(inode))) throw new NothingToDo();
    for (const inode of inodes) this.#explained.add(inode);
  }

  /** Also of what has other names; no folder with much in it. */
  remove(path: string): void {
    if (this.#below(path).length > MOST_REMOVED) throw new NothingToDo();
    for (const below of this.#below(path)) {
      const { nlink, ino } = look(below);
      if (nlink > 1 && !look(below).isDirectory() && this.#putBack.has(ino)) throw new NothingToDo();
    }
    for (const below of this.#below(path)) this.#explained.add(inodeOf(below));
    rmSync(path, { recursive: true });
  }

  /** These were read. */
  seen(paths: readonly string[]): void {
    for (const inode of paths.map(inodeOf))
      for (const inodes of [this.#written, this.#putBack, this.#explained]) inodes.delete(inode);
  }

  #tops(): string[] {
    return namesIn(this.root);
  }

  #list(isWanted: (stats: BigIntStats) => boolean): string[] {
    return this.#tops().flatMap((top) => this.#below(top).filter((path) => isWanted(look(path))));
  }

  #below(path: string): string[] {
    return [path, ...(look(path).isDirectory() ? namesIn(path).flatMap((name) => this.#below(name)) : [])];
  }
}

/** What was drawn does not fit the tree as it is. */
export class NothingToDo extends Error {}

export function look(path: string): BigIntStats {
  return lstatSync(path, { bigint: true });
}

export function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Sets the mtime to the nanosecond, of a symlink too. */
export function touch(path: string, date: string): void {
  tool('touch', ['-h', '-m', '-d', date, path]);
}

/** As `touch` takes it. */
export function dateOf(path: string): string {
  const { mtimeNs } = look(path);
  const seconds =
    (mtimeNs - (((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n;
  return `@${seconds}.${String(mtimeNs - seconds * 1_000_000_000n).padStart(9, '0')}`;
}

export function tool(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}

/** Makes the folders of an empty tree. */
export function plant(root: string, names: readonly string[]): void {
  for (const name of names) mkdirSync(`${root}/${name}`);
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => `${folder}/${basename(name)}`);
}

function inodeOf(path: string): bigint {
  return look(path).ino;
}
