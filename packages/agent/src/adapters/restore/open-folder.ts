import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { hash } from 'node:crypto';
import type {
  Attributes,
  Placing,
  Refusal,
  TargetFile,
  TargetFolder,
  TargetItem,
} from '../../ports/restore-target.ts';
import {
  FolderHandle,
  getXattr,
  hasCode,
  LibcError,
  listDirectory,
  makeNode,
  timespecs,
} from '@bakker/linux';
import {
  ACCESS_ACL,
  chmodNoFollow,
  DEFAULT_ACL,
  hasAttributes,
  pin,
  removeAcl,
  setAttributes,
  type Subject,
} from './attributes.ts';
import type { FileWriter } from './file-writer.ts';
import { LargeFile } from './large-file.ts';
import { checkName, giveName, isTemporaryName, temporaryName } from './names.ts';
import { checkSame } from './check-same.ts';
import { itemOf } from './target-item.ts';
import { writeContent } from './write-content.ts';
import type { WriteOrder } from './write-order.ts';
import type { WrittenFilesystems } from './written-filesystems.ts';
import { stages } from '../../timings/stages.ts';

type Node = Parameters<TargetFolder['placeNode']>[1];
type Content = Parameters<TargetFolder['placeFile']>[1];
type UncheckedContent = Parameters<TargetFolder['placeFileSoon']>[1];

/** What all folders of one restore share. */
export interface Shared {
  readonly umask: number;
  readonly filesystems: WrittenFilesystems;
  readonly writer: FileWriter;
  /** Folders of which nothing is removed. */
  readonly spared: readonly Pick<TargetItem, 'filesystem' | 'inode'>[];
}

interface Making {
  readonly isNew: boolean;
  /** Whether the folder above gives a default ACL to what is made in it. */
  readonly inheritsAcl: boolean;
  readonly shared: Shared;
}

/** A folder reached through its descriptor: `/proc/self/fd/N/name` is in it wherever it is moved to, and whatever its path says. */
export class OpenFolder implements TargetFolder {
  readonly isNew: boolean;
  readonly item: TargetItem;
  readonly #handle: FolderHandle;
  readonly #shared: Shared;
  /** A default ACL here would be given to everything that is made in it. */
  #inheritsAcl: boolean;
  /** Owner that new files get here: told by the first one. */
  #newOwner: { readonly uid: number; readonly gid: number } | undefined;

  constructor(handle: FolderHandle, made: Making) {
    this.#handle = handle;
    this.#shared = made.shared;
    this.isNew = made.isNew;
    try {
      this.item = itemOf(fstatSync(handle.fd, { bigint: true }));
      this.#shared.filesystems.note(this.item.filesystem, handle);
      this.#inheritsAcl = made.isNew ? made.inheritsAcl : this.#hasDefaultAcl();
      if (made.isNew) this.#dropInherited();
    } catch (error) {
      handle[Symbol.dispose]();
      throw error;
    }
  }

  get isSpared(): boolean {
    const { inode, filesystem } = this.item;
    return this.#shared.spared.some((folder) => folder.inode === inode && folder.filesystem === filesystem);
  }

  get isHalfMade(): boolean {
    return !this.isNew && (this.item.mode & ~SETGID) === HALF_MADE_MODE;
  }

  inspect(name: Buffer): TargetItem | undefined {
    const stats = lstatSync(this.#at(name), { bigint: true, throwIfNoEntry: false });
    return stats === undefined ? undefined : itemOf(stats);
  }

  *names(): Generator<Buffer> {
    for (const name of this.#list()) if (!isTemporaryName(name)) yield name;
  }

  removeLeftovers(): void {
    for (const name of this.#list()) {
      if (isTemporaryName(name) && this.inspect(name)?.type !== 'directory') unlinkSync(this.#at(name));
    }
  }

  has(
    attributes: Attributes,
    { name, item }: { readonly name?: Buffer; readonly item: TargetItem },
  ): boolean {
    return hasAttributes(name === undefined ? this.#handle.at(SELF) : this.#at(name), item, attributes);
  }

  enter(name: Buffer): OpenFolder {
    return this.#open(name, { isNew: false, inheritsAcl: false, shared: this.#shared });
  }

  makeFolder(name: Buffer): OpenFolder {
    return stages.doing('write', () => {
      mkdirSync(this.#at(name), HALF_MADE_MODE);
      return this.#open(name, { isNew: true, inheritsAcl: this.#inheritsAcl, shared: this.#shared });
    });
  }

  openUp(): void {
    if (process.geteuid?.() === 0 || (this.item.mode & 0o700) === 0o700) return;
    try {
      fchmodSync(this.#handle.fd, this.item.mode | 0o700);
    } catch (error) {
      if (!hasCode(error, 'EPERM')) throw error; // another user's: what can't be written says so itself
    }
  }

  setOwnAttributes(attributes: Attributes): readonly Refusal[] {
    const now = itemOf(fstatSync(this.#handle.fd, { bigint: true }));
    const subject = { path: this.#handle.at(SELF), fd: this.#handle.fd, ...ownership(now) };
    const folder: Subject = { ...subject, type: 'directory', mayCarryMore: !this.isNew };
    return stages.doing('write', () => setAttributes(folder, attributes));
  }

  setAttributes(name: Buffer, item: TargetItem, attributes: Attributes): readonly Refusal[] {
    const path = this.#at(name);
    const fd = item.type === 'file' ? openSame(path, item) : undefined;
    try {
      const { type } = item;
      return setInPlace({ path, fd, found: item, type, ...ownership(item), mayCarryMore: true }, attributes);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  placeFile(name: Buffer, content: Content, placing: Placing): readonly Refusal[] {
    return stages.doing('write', () => this.#placeFile(name, content, placing));
  }

  #placeFile(name: Buffer, content: Content, placing: Placing): readonly Refusal[] {
    return this.#place(name, placing, (path) => {
      const mode = this.#firstMode(placing.attributes);
      const fd = openSync(path, NEW_FILE, mode);
      try {
        this.#newOwner ??= ownerOf(fd);
        writeContent(fd, content);
        this.#shared.filesystems.wrote(this.item.filesystem, content.bytes.length);
        return setAttributes(this.#madeFile(path, { fd, mode }), placing.attributes);
      } catch (error) {
        discard(path);
        throw error;
      } finally {
        closeSync(fd);
      }
    });
  }

  async placeFileSoon(
    name: Buffer,
    content: UncheckedContent,
    placing: Placing,
  ): Promise<readonly Refusal[] | 'different'> {
    const order = this.#orderFor(name, content, placing);
    const taken = order && stages.doing('write', () => this.#shared.writer.take(order));
    const isDone = taken !== undefined && (await taken);
    if (isDone) {
      this.#shared.filesystems.wrote(this.item.filesystem, content.bytes.length);
      return NO_REFUSALS;
    }
    const { sha256, bytes } = content;
    const isAsWanted = sha256 === undefined || stages.doing('hash', () => sha256Of(bytes)).equals(sha256);
    return isAsWanted ? this.placeFile(name, content, placing) : 'different';
  }

  openFile(name: Buffer): TargetFile {
    checkName(name);
    const temporary = this.#at(temporaryName());
    const fd = openSync(temporary, NEW_FILE, 0o600);
    return new LargeFile({
      fd,
      temporary,
      final: this.#at(name),
      subject: { ...this.#madeFile(temporary, { fd, mode: 0o600 }), ...ownerOf(fd) },
      onWritten: (bytes) => this.#shared.filesystems.wrote(this.item.filesystem, bytes),
    });
  }

  placeSymlink(name: Buffer, target: Buffer, placing: Placing): readonly Refusal[] {
    return this.#place(name, placing, (path) => {
      symlinkSync(target, path);
      return attributesOrDiscard({ path, type: 'symlink', mayCarryMore: false }, placing.attributes);
    });
  }

  placeNode(name: Buffer, { type, device }: Node, placing: Placing): readonly Refusal[] {
    return this.#place(name, placing, (path) => {
      makeNode(path, { type, mode: 0o600, ...(device === undefined ? {} : { device }) });
      return attributesOrDiscard({ path, type, mayCarryMore: this.#inheritsAcl }, placing.attributes);
    });
  }

  placeLink(
    name: Buffer,
    from: { readonly folder: TargetFolder; readonly name: Buffer },
    placing: Omit<Placing, 'attributes'>,
  ): void {
    const { folder } = from;
    if (!(folder instanceof OpenFolder)) throw new Error('a link between two kinds of target');
    this.#place(name, placing, (path) => {
      linkSync(folder.#at(from.name), path);
    });
  }

  readLink(name: Buffer): Buffer {
    return readlinkSync(this.#at(name), { encoding: 'buffer' });
  }

  *read(name: Buffer, item?: TargetItem): Generator<Buffer> {
    const path = this.#at(name);
    const fd = (item && openSame(path, item)) ?? openSync(path, EXISTING_FILE);
    try {
      const piece = (scratch ??= Buffer.allocUnsafe(READ_BYTES));
      for (;;) {
        const lengthBytes = readSync(fd, piece);
        if (lengthBytes === 0) return;
        yield piece.subarray(0, lengthBytes);
      }
    } finally {
      closeSync(fd);
    }
  }

  count(name: Buffer): number {
    if (this.inspect(name)?.type !== 'directory') return 1;
    using folder = this.enter(name);
    if (folder.item.filesystem !== this.item.filesystem || folder.isSpared) return 0;
    let count = 1;
    for (const below of folder.names()) count += folder.count(below);
    return count;
  }

  remove(name: Buffer, { onlyEmpty = false }: { readonly onlyEmpty?: boolean } = {}): number {
    const item = this.inspect(name);
    if (item === undefined) return 0;
    if (item.type !== 'directory') {
      unlinkSync(this.#at(name));
      return 1;
    }
    let removed = 1;
    if (!onlyEmpty) {
      using folder = this.enter(name);
      if (folder.item.filesystem !== this.item.filesystem) throw new LibcError('rmdir', EXDEV, name);
      if (folder.isSpared) throw new LibcError('rmdir', EBUSY, name);
      folder.openUp();
      for (const below of folder.#list()) removed += folder.remove(below);
    }
    rmdirSync(this.#at(name));
    return removed;
  }

  [Symbol.dispose](): void {
    this.#handle[Symbol.dispose]();
  }

  /** All names as they are now; they share memory, of which each takes little. */
  *#list(): Generator<Buffer> {
    const fd = openSync(this.#handle.at(SELF), constants.O_RDONLY | constants.O_DIRECTORY);
    let listing;
    try {
      listing = listDirectory(fd);
    } finally {
      closeSync(fd);
    }
    for (let number = 0; number < listing.count; number++) yield listing.name(number);
  }

  #at(name: Buffer): Buffer {
    checkName(name);
    return this.#handle.at(name);
  }

  /** O_NOFOLLOW and O_DIRECTORY: a symlink that was put there meanwhile is refused. */
  #open(name: Buffer, made: Making): OpenFolder {
    const path = this.#at(name);
    let fd: number;
    try {
      fd = openSync(path, FOLDER);
    } catch (error) {
      if (!hasCode(error, 'EACCES')) throw error;
      fd = openUnreadable(path);
    }
    return new OpenFolder(new FolderHandle(fd), made);
  }

  /**
   * Makes it under its own name if that is free and something half may stand there, else beside it and by rename, so that the
   * name is never missing or half.
   */
  #place<Result>(
    name: Buffer,
    { replaces, appearsWhole = false }: Omit<Placing, 'attributes'>,
    make: (path: Buffer) => Result,
  ): Result {
    const final = this.#at(name);
    if (!replaces && !appearsWhole) return make(final);
    const temporary = this.#at(temporaryName());
    const result = make(temporary);
    try {
      giveName(temporary, final, replaces);
    } catch (error) {
      discard(temporary);
      throw error;
    }
    return result;
  }

  /**
   * The final permission bits at once where nobody could use them wrongly before the owner is set: the group's bits
   * must be no more than everyone's.
   */
  #firstMode({ mode, acl, xattrs }: Attributes): number {
    const isPlain = (mode & 0o7000) === 0 && acl === undefined && xattrs.length === 0;
    const isGroupHarmless = ((mode >> 3) & ~mode & 0o7) === 0;
    return isPlain && isGroupHarmless && (mode & 0o600) === 0o600 ? mode : 0o600;
  }

  #madeFile(path: Buffer, { fd, mode }: { fd: number; mode: number }): Subject {
    const known = this.#inheritsAcl ? undefined : mode & ~this.#shared.umask;
    return { path, fd, type: 'file', ...this.#newOwner, mode: known, mayCarryMore: this.#inheritsAcl };
  }

  /** Undefined if it is not as plain as the writing thread needs it. The first file of a folder tells which owner the others get. */
  #orderFor(
    name: Buffer,
    { bytes, extents, sha256 }: UncheckedContent,
    { attributes, replaces, appearsWhole = false }: Placing,
  ): WriteOrder | undefined {
    const { uid, gid, mode, mtimeNs, acl, xattrs } = attributes;
    const owner = this.#newOwner;
    if (owner === undefined || this.#inheritsAcl || extents !== undefined) return undefined;
    if (replaces || appearsWhole) return undefined;
    if (acl !== undefined || xattrs.length > 0 || (mode & 0o7000) !== 0) return undefined;
    checkName(name);
    const firstMode = this.#firstMode(attributes);
    return {
      folderFd: this.#handle.fd,
      name,
      bytes,
      sha256,
      firstMode,
      mode: (firstMode & ~this.#shared.umask) === mode ? undefined : mode,
      owner: owner.uid === uid && owner.gid === gid ? undefined : { uid, gid },
      times: timespecs(mtimeNs),
    };
  }

  #hasDefaultAcl(): boolean {
    try {
      return getXattr(this.#handle.at(SELF), DEFAULT_ACL) !== undefined;
    } catch (error) {
      if (hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) return false;
      throw error;
    }
  }

  #dropInherited(): void {
    if (this.#inheritsAcl) {
      const itself = { path: this.#handle.at(SELF), fd: this.#handle.fd };
      removeAcl(itself, DEFAULT_ACL);
      removeAcl(itself, ACCESS_ACL);
      this.#inheritsAcl = false;
    }
    if (this.item.mode !== HALF_MADE_MODE) fchmodSync(this.#handle.fd, HALF_MADE_MODE); // setgid comes from the folder above
  }
}

function sha256Of(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer');
}

const SELF = Buffer.from('.');
/** Of a folder whose attributes are still to come: closed to others, and with a bit that nobody gives to such a folder. */
const HALF_MADE_MODE = 0o1700;
/** Comes from the folder above. */
const SETGID = 0o2000;
const NO_REFUSALS: readonly Refusal[] = [];
const READ_BYTES = 262_144;
/** For `read`: its pieces are used up before anything else runs. */
let scratch: Buffer | undefined;
const EXDEV = 18;
const EBUSY = 16;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const EXISTING_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A folder of this user's that forbids even him to read it: pinned first, then opened up. */
function openUnreadable(path: Buffer): number {
  const pinned = pin(path);
  try {
    const stats: BigIntStats = fstatSync(pinned, { bigint: true });
    if (!stats.isDirectory()) throw new LibcError('open', 20, path);
    chmodNoFollow({ path, fd: undefined }, Number(stats.mode & 0o7777n) | 0o700);
    return openSync(`/proc/self/fd/${pinned}/.`, FOLDER);
  } finally {
    closeSync(pinned);
  }
}

/**
 * Opens a file that was looked at before, to set its attributes; undefined if this user may not.
 *
 * @throws LibcError ESTALE if its name is another's by now
 */
function openSame(path: Buffer, item: Pick<TargetItem, 'filesystem' | 'inode'>): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, EXISTING_FILE);
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error;
    return undefined;
  }
  try {
    checkSame(fd, path, { type: 'file', found: item });
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function setInPlace(subject: Subject, attributes: Attributes): readonly Refusal[] {
  const { type, mode = 0 } = subject;
  if (type === 'symlink' || (mode & 0o200) !== 0 || process.geteuid?.() === 0)
    return setAttributes(subject, attributes);
  try {
    chmodNoFollow(subject, mode | 0o200); // extended attributes can't be set on a read-only file
  } catch (error) {
    if (!hasCode(error, 'EPERM')) throw error;
    return setAttributes(subject, attributes);
  }
  return setAttributes({ ...subject, mode: mode | 0o200 }, attributes);
}

function ownership({ uid, gid, mode }: TargetItem): { uid: number; gid: number; mode: number } {
  return { uid, gid, mode };
}

function ownerOf(fd: number): { uid: number; gid: number } {
  const { uid, gid } = fstatSync(fd);
  return { uid, gid };
}

function attributesOrDiscard(subject: Subject, attributes: Attributes): readonly Refusal[] {
  try {
    return setAttributes(subject, attributes);
  } catch (error) {
    discard(subject.path);
    throw error;
  }
}

/** What failed is reported by the error that is on its way. */
function discard(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
