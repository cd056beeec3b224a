import { fail, libc } from './libc.ts';

/** `d_type`, the kinds that matter here; `UNKNOWN` where the file system does not tell. */
export const DIRENT = { UNKNOWN: 0, DIRECTORY: 4, FILE: 8, SYMLINK: 10 } as const;

/**
 * All names of a folder, in one piece of memory that threads share: about 17 bytes and the name for each.
 * Numbers of names are places in the order of `sorted`, or the kernel's if it was not called.
 */
export class DirectoryListing {
  readonly count: number;
  /** To be sent to another thread, which makes a listing of it; nothing is copied. */
  readonly memory: SharedArrayBuffer;
  readonly #inodes: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #order: Uint32Array;
  readonly #types: Uint8Array;
  readonly #names: Buffer;

  /** @param memory - of another listing */
  constructor(memory: SharedArrayBuffer) {
    const count = new Uint32Array(memory, 0, 1)[0]!;
    this.count = count;
    this.memory = memory;
    this.#inodes = new Uint32Array(memory, HEADER_BYTES, count * 2);
    this.#starts = new Uint32Array(memory, HEADER_BYTES + count * 8, count + 1);
    this.#order = new Uint32Array(memory, HEADER_BYTES + count * 12 + 4, count);
    this.#types = new Uint8Array(memory, HEADER_BYTES + count * 16 + 4, count);
    this.#names = Buffer.from(memory, HEADER_BYTES + count * 17 + 4);
  }

  /** The name; shares memory. */
  name(number: number): Buffer {
    const at = this.#order[number]!;
    return this.#names.subarray(this.#starts[at], this.#starts[at + 1]! - 1);
  }

  /** The name with the NUL behind it, as calls of the kernel take it; shares memory. */
  cName(number: number): Buffer {
    const at = this.#order[number]!;
    return this.#names.subarray(this.#starts[at], this.#starts[at + 1]);
  }

  /** One of `DIRENT`, or another `d_type`. */
  type(number: number): number {
    return this.#types[this.#order[number]!]!;
  }

  /** Notes the type of a name that had `DIRENT.UNKNOWN`. */
  settleType(number: number, type: number): void {
    this.#types[this.#order[number]!] = type;
  }

  /** `d_ino`: not what `stat` says of a mount point. */
  inode(number: number): bigint {
    const at = this.#order[number]! * 2;
    return BigInt(this.#inodes[at]!) + (BigInt(this.#inodes[at + 1]!) << 32n);
  }

  /** Puts the names in the order of their bytes. Once, before others use it. About half a second for a million names. */
  sort(): this {
    const names = this.#names;
    const starts = this.#starts;
    const shared = this.#sharedBytes();
    // Most pairs differ in the six bytes behind what all names share: a number of these spares most comparisons of bytes.
    const keys = new Float64Array(this.count);
    for (let at = 0; at < this.count; at++) {
      const end = starts[at + 1]! - 1;
      let key = 0;
      for (let i = 0, from = starts[at]! + shared; i < 6; i++, from++) {
        key = key * 256 + (from < end ? names[from]! : 0);
      }
      keys[at] = key;
    }
    this.#order.sort(
      (a, b) =>
        keys[a]! - keys[b]! ||
        names.compare(names, starts[b], starts[b + 1]! - 1, starts[a], starts[a + 1]! - 1),
    );
    return this;
  }

  /** The number of the first name that is not before `name`; `count` if there is none. For a listing that was sorted. */
  lowerBound(name: Buffer, from = 0): number {
    let low = from;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.name(middle).compare(name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sharedBytes(): number {
    if (this.count === 0) return 0;
    const first = this.name(0);
    let shared = first.length;
    for (let number = 1; number < this.count && shared > 0; number++) {
      const name = this.name(number);
      let same = 0;
      while (same < shared && same < name.length && name[same] === first[same]) same++;
      shared = same;
    }
    return shared;
  }
}

/**
 * Reads the names of an open folder, without `.` and `..`, from where its offset is: the beginning, if it was just opened.
 *
 * @param fd - not used by another thread meanwhile
 * @throws LibcError `ENOTDIR`, `EIO`
 */
export function listDirectory(fd: number): DirectoryListing {
  const listing = listAtMost(fd, Infinity);
  if (listing === undefined) throw new Error('a listing without a limit met one');
  return listing;
}

/** As `listDirectory`; undefined if the listing would take more memory than so many bytes. @throws as `listDirectory` */
export function listAtMost(fd: number, mostBytes: number): DirectoryListing | undefined {
  const gathered = new GatheredNames();
  for (let filledBytes = readDirents(fd); filledBytes > 0; filledBytes = readDirents(fd)) {
    gathered.addDirents(filledBytes);
    if (gathered.listingBytes > mostBytes) return undefined;
  }
  return gathered.listing();
}

/**
 * Reads the next names of an open folder, as many as fit into 128 KiB, for whoever needs no order and must not hold all names of a
 * folder of millions. Those that are there from the first call to the last are each read once.
 *
 * @param fd - not used by another thread meanwhile
 * @returns undefined at the end
 * @throws LibcError `ENOTDIR`, `EIO`
 */
export function listNext(fd: number): DirectoryListing | undefined {
  const filledBytes = readDirents(fd);
  if (filledBytes === 0) return undefined;
  const gathered = new GatheredNames();
  gathered.addDirents(filledBytes);
  return gathered.listing();
}

function readDirents(fd: number): number {
  const number = GETDENTS64[process.arch];
  if (number === undefined) throw new Error(`getdents64 is not known on ${process.arch}`);
  const filledBytes = libc().getdents64(number, fd, dirents, dirents.length);
  return filledBytes < 0 ? fail('getdents64') : filledBytes;
}

const GETDENTS64: Partial<Record<NodeJS.Architecture, number>> = { x64: 217, arm64: 61 };
const HEADER_BYTES = 8;
const LARGE = 1 << 20;
const DOT = 0x2e;
/** `struct linux_dirent64`: u64 inode, i64 offset, u16 length of the record, u8 type, name with NUL. */
const LENGTH_AT = 16;
const TYPE_AT = 18;
const NAME_AT = 19;
const dirents = Buffer.alloc(128 * 1024);
const direntWords = new Uint32Array(dirents.buffer, dirents.byteOffset, dirents.length / 4);

/** A listing that is being read: grows by doubling, large ones by a quarter, then is copied to memory of its size. */
export class GatheredNames {
  #count = 0;
  #namesBytes = 0;
  #inodes = new Uint32Array(128);
  #starts = new Uint32Array(65);
  #types = new Uint8Array(64);
  #names = Buffer.allocUnsafe(2048);

  /** Takes a name of a listing. */
  add(listing: DirectoryListing, number: number): void {
    const inode = listing.inode(number);
    const name = listing.cName(number);
    const count = this.#place(name, 0, name.length);
    this.#inodes[count * 2] = Number(inode & 0xffff_ffffn);
    this.#inodes[count * 2 + 1] = Number(inode >> 32n);
    this.#types[count] = listing.type(number);
  }

  /** Takes what the kernel wrote into `dirents`. @internal */
  addDirents(filledBytes: number): void {
    for (let at = 0; at < filledBytes;) {
      const recordBytes = dirents[at + LENGTH_AT]! + dirents[at + LENGTH_AT + 1]! * 256;
      if (!isSelfOrParent(at + NAME_AT)) this.#entry(at);
      at += recordBytes;
    }
  }

  /** What `listing` takes. */
  get listingBytes(): number {
    return HEADER_BYTES + this.#count * 17 + 4 + this.#namesBytes;
  }

  listing(): DirectoryListing {
    const count = this.#count;
    const memory = new SharedArrayBuffer(this.listingBytes);
    new Uint32Array(memory, 0, 1)[0] = count;
    new Uint32Array(memory, HEADER_BYTES, count * 2).set(this.#inodes.subarray(0, count * 2));
    this.#starts[count] = this.#namesBytes;
    new Uint32Array(memory, HEADER_BYTES + count * 8, count + 1).set(this.#starts.subarray(0, count + 1));
    const order = new Uint32Array(memory, HEADER_BYTES + count * 12 + 4, count);
    for (let number = 0; number < count; number++) order[number] = number;
    new Uint8Array(memory, HEADER_BYTES + count * 16 + 4).set(this.#types.subarray(0, count));
    new Uint8Array(memory, HEADER_BYTES + count * 17 + 4).set(this.#names.subarray(0, this.#namesBytes));
    return new DirectoryListing(memory);
  }

  #entry(at: number): void {
    const count = this.#place(dirents, at + NAME_AT, dirents.indexOf(0, at + NAME_AT) + 1);
    // Records begin at multiples of eight.
    this.#inodes[count * 2] = direntWords[at / 4]!;
    this.#inodes[count * 2 + 1] = direntWords[at / 4 + 1]!;
    this.#types[count] = dirents[at + TYPE_AT]!;
  }

  /** Takes the bytes of a name, with its NUL. @returns its number */
  #place(from: Buffer, start: number, end: number): number {
    const count = this.#count;
    if (count === this.#types.length) this.#grow();
    this.#starts[count] = this.#namesBytes;
    const needed = this.#namesBytes + end - start;
    if (needed > this.#names.length) this.#growNames(needed);
    from.copy(this.#names, this.#namesBytes, start, end);
    this.#namesBytes = needed;
    this.#count = count + 1;
    return count;
  }

  #grow(): void {
    const types = new Uint8Array(grown(this.#types.length));
    types.set(this.#types);
    this.#types = types;
    const starts = new Uint32Array(types.length + 1);
    starts.set(this.#starts);
    this.#starts = starts;
    const inodes = new Uint32Array(types.length * 2);
    inodes.set(this.#inodes);
    this.#inodes = inodes;
  }

  #growNames(needed: number): void {
    const names = Buffer.allocUnsafe(Math.max(needed, grown(this.#names.length)));
    this.#names.copy(names, 0, 0, this.#namesBytes);
    this.#names = names;
  }
}

function grown(length: number): number {
  return length < LARGE ? length * 2 : Math.ceil(length * 1.25);
}

function isSelfOrParent(at: number): boolean {
  if (dirents[at] !== DOT) return false;
  return dirents[at + 1] === 0 || (dirents[at + 1] === DOT && dirents[at + 2] === 0);
}
