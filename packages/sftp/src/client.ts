import type { Attributes } from './attributes.ts';
import { attributesBytes, writeAttributes } from './attributes.ts';
import type { Connection } from './connection.ts';
import type { SftpConnectionError } from './errors.ts';
import { HandleRoom } from './handle-room.ts';
import { EXTENSION, MAX_WRITE_BYTES, PACKET } from './protocol.ts';
import type { DirectoryItem, FileSystemStatus, Handle, ReplyKind, ServerLimits } from './replies.ts';
import {
  ATTRIBUTES_REPLY,
  DATA_REPLY,
  EXTENDED_REPLY,
  HANDLE_REPLY,
  ITEMS_REPLY,
  LIMITS_REPLY,
  PATH_REPLY,
  STATUS_REPLY,
  STATVFS_REPLY,
} from './replies.ts';
import { RequestChannel } from './request-channel.ts';

/** A stretch to copy on the server; a length of 0 means up to the end of the file. */
export interface CopyData {
  readonly from: Handle;
  readonly fromOffset: number;
  readonly length: number;
  readonly to: Handle;
  readonly toOffset: number;
}

/**
 * SFTP version 3 requests on byte paths, any number in flight. Requests of one turn of the event loop leave together.
 * Every method rejects with SftpStatusError when the server refuses, with SftpConnectionError when the connection ends,
 * and throws TypeError or RangeError at once for what cannot be sent (a path with NUL, an offset that is no integer).
 * Buffers handed in must not change until their request is answered.
 */
export class SftpClient {
  /** What the server announced: name to data (mostly a version). */
  readonly extensions: ReadonlyMap<string, string>;
  readonly #connection: Connection;
  readonly #channel: RequestChannel;
  #handles: HandleRoom | undefined;

  /** For `openSftp`. */
  constructor(connection: Connection, extensions: ReadonlyMap<string, string>) {
    this.extensions = extensions;
    this.#connection = connection;
    this.#channel = new RequestChannel(connection);
  }

  /** Whether the server announced the extension. */
  has(extension: string): boolean {
    return this.extensions.has(extension);
  }

  /** Requests that wait for their answer. */
  get pending(): number {
    return this.#channel.pending;
  }

  get bytesSent(): number {
    return this.#connection.bytesSent;
  }

  get bytesReceived(): number {
    return this.#connection.bytesReceived;
  }

  /** Why the connection ended; undefined while it is good. */
  get failure(): SftpConnectionError | undefined {
    return this.#connection.failure;
  }

  /** Whether `drained` would wait. */
  get congested(): boolean {
    return this.#connection.congested;
  }

  /** Resolves once the duplex holds less than its high-water mark; rejects when the connection ends. */
  drained(): Promise<void> {
    return this.#connection.drained();
  }

  /**
   * Resolves once fewer than `maxPending` requests are under way; rejects when the connection ends. Many may wait: they go
   * in order, as many at a time as there is room for.
   */
  below(maxPending: number): Promise<void> {
    return this.#channel.below(maxPending);
  }

  /** Takes no more requests, and ends our side of the duplex once those under way are answered. Never rejects. */
  end(): Promise<void> {
    return this.#channel.end();
  }

  /**
   * From now on no more handles than that are open at once: OPEN and OPENDIR wait until one was closed.
   *
   * @param most - `ServerLimits.maxOpenHandles`; 0 bounds nothing
   */
  limitHandles(most: number): void {
    this.#handles = most > 0 ? new HandleRoom(most) : undefined;
  }

  /** @param flags - of `OPEN`, or-ed */
  open(path: Buffer, flags: number, attributes: Attributes = NO_ATTRIBUTES): Promise<Handle> {
    const bodyBytes = pathBytes(path) + 4 + attributesBytes(attributes);
    return this.#withHandle(() => {
      const writer = this.#channel.begin(PACKET.OPEN, bodyBytes);
      writer.string(path);
      writer.u32(flags);
      writeAttributes(writer, attributes);
      return this.#channel.finish(HANDLE_REPLY, { request: 'open', path });
    });
  }

  close(handle: Handle): Promise<void> {
    const closed = this.#onHandle(PACKET.CLOSE, 'close', handle, STATUS_REPLY);
    const handles = this.#handles;
    return handles ? closed.finally(() => handles.give()) : closed;
  }

  /** Up to `length` bytes; fewer where the server gives fewer; empty at the end of the file. The Buffer is the caller's. */
  read(handle: Handle, offset: number, length: number): Promise<Buffer> {
    checkOffset(offset);
    const writer = this.#channel.begin(PACKET.READ, 16 + handle.bytes.length);
    writer.string(handle.bytes);
    writer.u64(offset);
    writer.u32(length);
    return this.#channel.finish(DATA_REPLY, { request: 'read', path: handle.path });
  }

  /** @param bytes - at most `MAX_WRITE_BYTES`; large ones are sent without a copy */
  write(handle: Handle, offset: number, bytes: Buffer): Promise<void> {
    checkOffset(offset);
    if (bytes.length > MAX_WRITE_BYTES)
      throw new RangeError(`${bytes.length} bytes are too many for one write`);
    const writer = this.#channel.begin(PACKET.WRITE, 16 + handle.bytes.length, bytes.length);
    writer.string(handle.bytes);
    writer.u64(offset);
    writer.payload(bytes);
    return this.#channel.finish(STATUS_REPLY, { request: 'write', path: handle.path });
  }

  /** Does not follow a symlink. */
  lstat(path: Buffer): Promise<Attributes> {
    return this.#onPath(PACKET.LSTAT, 'lstat', path, ATTRIBUTES_REPLY);
  }

  stat(path: Buffer): Promise<Attributes> {
    return this.#onPath(PACKET.STAT, 'stat', path, ATTRIBUTES_REPLY);
  }

  fstat(handle: Handle): Promise<Attributes> {
    return this.#onHandle(PACKET.FSTAT, 'fstat', handle, ATTRIBUTES_REPLY);
  }

  /** Follows a symlink. A size truncates or extends. */
  setstat(path: Buffer, attributes: Attributes): Promise<void> {
    return this.#onPath(PACKET.SETSTAT, 'setstat', path, STATUS_REPLY, attributes);
  }

  fsetstat(handle: Handle, attributes: Attributes): Promise<void> {
    const bodyBytes = 4 + handle.bytes.length + attributesBytes(attributes);
    const writer = this.#channel.begin(PACKET.FSETSTAT, bodyBytes);
    writer.string(handle.bytes);
    writeAttributes(writer, attributes);
    return this.#channel.finish(STATUS_REPLY, { request: 'fsetstat', path: handle.path });
  }

  opendir(path: Buffer): Promise<Handle> {
    return this.#withHandle(() => this.#onPath(PACKET.OPENDIR, 'opendir', path, HANDLE_REPLY));
  }

  /** The next names, `.` and `..` among them; undefined after the last. */
  readdir(handle: Handle): Promise<DirectoryItem[] | undefined> {
    return this.#onHandle(PACKET.READDIR, 'readdir', handle, ITEMS_REPLY);
  }

  /** Removes a file or a symlink, not a folder. */
  remove(path: Buffer): Promise<void> {
    return this.#onPath(PACKET.REMOVE, 'remove', path, STATUS_REPLY);
  }

  mkdir(path: Buffer, attributes: Attributes = NO_ATTRIBUTES): Promise<void> {
    return this.#onPath(PACKET.MKDIR, 'mkdir', path, STATUS_REPLY, attributes);
  }

  rmdir(path: Buffer): Promise<void> {
    return this.#onPath(PACKET.RMDIR, 'rmdir', path, STATUS_REPLY);
  }

  realpath(path: Buffer): Promise<Buffer> {
    return this.#onPath(PACKET.REALPATH, 'realpath', path, PATH_REPLY);
  }

  /** Fails if the new name is there (OpenSSH: by link and unlink); see `posixRename`. */
  rename(from: Buffer, to: Buffer): Promise<void> {
    return this.#onTwoPaths(PACKET.RENAME, 'rename', from, to);
  }

  /** The target as it is written in the symlink. */
  readlink(path: Buffer): Promise<Buffer> {
    return this.#onPath(PACKET.READLINK, 'readlink', path, PATH_REPLY);
  }

  /**
   * Makes a symlink at `linkPath` that says `target`. On the wire the target comes first: OpenSSH, and all who follow it,
   * have the two the other way round than the draft.
   */
  symlink(target: Buffer, linkPath: Buffer): Promise<void> {
    return this.#onTwoPaths(PACKET.SYMLINK, 'symlink', target, linkPath);
  }

  /** rename(2): replaces what has the new name, atomically. */
  posixRename(from: Buffer, to: Buffer): Promise<void> {
    return this.#onTwoPaths(PACKET.EXTENDED, 'posix-rename', from, to, POSIX_RENAME);
  }

  /** link(2): gives what is at `existing` the further name `path`. */
  hardlink(existing: Buffer, path: Buffer): Promise<void> {
    return this.#onTwoPaths(PACKET.EXTENDED, 'hardlink', existing, path, HARDLINK);
  }

  statvfs(path: Buffer): Promise<FileSystemStatus> {
    const bodyBytes = stringBytes(STATVFS) + pathBytes(path);
    const writer = this.#channel.begin(PACKET.EXTENDED, bodyBytes);
    writer.string(STATVFS);
    writer.string(path);
    return this.#channel.finish(STATVFS_REPLY, { request: 'statvfs', path });
  }

  fsync(handle: Handle): Promise<void> {
    const bodyBytes = stringBytes(FSYNC) + stringBytes(handle.bytes);
    const writer = this.#channel.begin(PACKET.EXTENDED, bodyBytes);
    writer.string(FSYNC);
    writer.string(handle.bytes);
    return this.#channel.finish(STATUS_REPLY, { request: 'fsync', path: handle.path });
  }

  /** Copies on the server from one open file to another (OpenSSH refuses the same handle twice where they overlap). */
  copyData({ from, fromOffset, length, to, toOffset }: CopyData): Promise<void> {
    checkOffset(fromOffset);
    checkOffset(length);
    checkOffset(toOffset);
    const bodyBytes = stringBytes(COPY_DATA) + stringBytes(from.bytes) + stringBytes(to.bytes) + 24;
    const writer = this.#channel.begin(PACKET.EXTENDED, bodyBytes);
    writer.string(COPY_DATA);
    writer.string(from.bytes);
    writer.u64(fromOffset);
    writer.u64(length);
    writer.string(to.bytes);
    writer.u64(toOffset);
    return this.#channel.finish(STATUS_REPLY, { request: 'copy-data', path: from.path, otherPath: to.path });
  }

  limits(): Promise<ServerLimits> {
    const bodyBytes = stringBytes(LIMITS);
    const writer = this.#channel.begin(PACKET.EXTENDED, bodyBytes);
    writer.string(LIMITS);
    return this.#channel.finish(LIMITS_REPLY, { request: 'limits' });
  }

  /** Sets permissions, owner and times of a symlink itself. */
  lsetstat(path: Buffer, attributes: Attributes): Promise<void> {
    const bodyBytes = stringBytes(LSETSTAT) + pathBytes(path) + attributesBytes(attributes);
    const writer = this.#channel.begin(PACKET.EXTENDED, bodyBytes);
    writer.string(LSETSTAT);
    writer.string(path);
    writeAttributes(writer, attributes);
    return this.#channel.finish(STATUS_REPLY, { request: 'lsetstat', path });
  }

  /**
   * Any other EXTENDED request: the name, and behind it `body` and `payload` as they are. A large payload is sent without a
   * copy; if it is a string of the protocol, its length is the last that `body` holds.
   *
   * @param name - each character a byte
   * @returns the body of the EXTENDED_REPLY, the caller's; empty when the answer was a status of OK
   */
  extended(name: string, body: Buffer, payload: Buffer = NOTHING): Promise<Buffer> {
    const nameBytes = Buffer.from(name, 'latin1');
    const writer = this.#channel.begin(PACKET.EXTENDED, stringBytes(nameBytes) + body.length, payload.length);
    writer.string(nameBytes);
    writer.raw(body);
    writer.tail(payload);
    return this.#channel.finish(EXTENDED_REPLY, { request: name });
  }

  /** The same for one that is answered with a handle. @param path - of what is opened */
  extendedOpen(name: string, path: Buffer, body: Buffer): Promise<Handle> {
    const nameBytes = Buffer.from(name, 'latin1');
    const writer = this.#channel.begin(PACKET.EXTENDED, stringBytes(nameBytes) + body.length);
    writer.string(nameBytes);
    writer.raw(body);
    return this.#channel.finish(HANDLE_REPLY, { request: name, path });
  }

  #withHandle(open: () => Promise<Handle>): Promise<Handle> {
    const handles = this.#handles;
    if (!handles) return open();
    const opened = handles.take()?.then(open) ?? open();
    return opened.catch((error: unknown) => {
      handles.give();
      throw error;
    });
  }

  #onPath<T>(
    type: number,
    request: string,
    path: Buffer,
    kind: ReplyKind<T>,
    attributes?: Attributes,
  ): Promise<T> {
    const bodyBytes = pathBytes(path) + (attributes === undefined ? 0 : attributesBytes(attributes));
    const writer = this.#channel.begin(type, bodyBytes);
    writer.string(path);
    if (attributes !== undefined) writeAttributes(writer, attributes);
    return this.#channel.finish(kind, { request, path });
  }

  #onTwoPaths(
    type: number,
    request: string,
    path: Buffer,
    otherPath: Buffer,
    extension?: Buffer,
  ): Promise<void> {
    const extensionBytes = extension === undefined ? 0 : stringBytes(extension);
    const writer = this.#channel.begin(type, extensionBytes + pathBytes(path) + pathBytes(otherPath));
    if (extension !== undefined) writer.string(extension);
    writer.string(path);
    writer.string(otherPath);
    return this.#channel.finish(STATUS_REPLY, { request, path, otherPath });
  }

  #onHandle<T>(type: number, request: string, handle: Handle, kind: ReplyKind<T>): Promise<T> {
    const writer = this.#channel.begin(type, stringBytes(handle.bytes));
    writer.string(handle.bytes);
    return this.#channel.finish(kind, { request, path: handle.path });
  }
}

const NOTHING = Buffer.alloc(0);
const NO_ATTRIBUTES: Attributes = {};
/** Eight times what Linux takes; two such paths are still far from the packet that makes a server hang up. */
const MAX_PATH_BYTES = 32 * 1024;

const POSIX_RENAME = Buffer.from(EXTENSION.POSIX_RENAME);
const HARDLINK = Buffer.from(EXTENSION.HARDLINK);
const STATVFS = Buffer.from(EXTENSION.STATVFS);
const FSYNC = Buffer.from(EXTENSION.FSYNC);
const COPY_DATA = Buffer.from(EXTENSION.COPY_DATA);
const LIMITS = Buffer.from(EXTENSION.LIMITS);
const LSETSTAT = Buffer.from(EXTENSION.LSETSTAT);

function stringBytes(bytes: Buffer): number {
  return 4 + bytes.length;
}

/** Length of the encoded path. A NUL would make OpenSSH's server drop the whole connection. */
function pathBytes(path: Buffer): number {
  if (path.length > MAX_PATH_BYTES)
    throw new RangeError(`a path of ${path.length} bytes is too long to send`);
  if (path.includes(0)) throw new RangeError('a path with a NUL byte cannot be sent');
  return 4 + path.length;
}

function checkOffset(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`no offset or length in a file: ${value}`);
}
