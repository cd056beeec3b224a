import { escapeName } from '@bakker/command-line';
import type { Extent } from '@bakker/impl-format';
import { EarlyFlush } from '@bakker/linux';
import type { DirectoryItem, Handle, SftpClient } from '@bakker/sftp';
import { OPEN, STATUS, SftpConnectionError, SftpStatusError, listFolder } from '@bakker/sftp';
import { AgentError } from '../../errors.ts';
import { MissingFromStorage } from '../../ports/storage-account.ts';
import type {
  FileSink,
  LinkOutcome,
  NewFile,
  OlderFile,
  PatchSink,
  Space,
  StoredItem,
} from '../../ports/storage-account.ts';
import { readAhead } from '../sftp/read-ahead.ts';
import { startsWith } from '../sftp/starts-with.ts';
import { isTold, toStoredItem, typeOf } from '../sftp/stored-item.ts';
import type { FileStore, StoredStat } from './file-store.ts';
import { joinPath } from './file-store.ts';
import { flushByPath } from './flush-by-path.ts';
import { SftpLanes, quietestOf } from './sftp-lanes.ts';
import { SftpPatchSink } from './sftp-patch-sink.ts';
import { SftpSink, clampTime } from './sftp-sink.ts';
import type { SftpSinkOptions } from './sftp-sink.ts';

/** Above 2,048 waiting requests OpenSSH's server turns quadratic; 512 keeps a line of 20 ms busy with four channels. */
const MAX_PENDING_PER_CHANNEL = 512;
/** Up to this much needs no channels of its own: to open some costs more. */
const LITTLE_CONTENT_BYTES = 4 * 1024 * 1024;
const PATH_MAX_BYTES = 4095;
/** A file made from an older one needs two handles at once; with fewer than this, some could wait for each other. */
const HANDLES_FOR_COPIES = 8;

/** The channels of an account, opened by the transport. */
export interface SftpChannels {
  readonly address: string;
  /** For single requests, and for everything until there are others. */
  readonly first: SftpClient;
  /** For names and links, and for content too, unless it has channels of its own; at least one. Nobody waits for them: it never rejects. */
  readonly names: Promise<readonly SftpClient[]>;
  /** Channels for content on another connection, opened at the first call. */
  readonly content?: () => Promise<readonly SftpClient[]>;
  /** The account's folder, absolute or relative to where the login starts; `.` if it is that. */
  readonly root: Buffer;
  /** Length of its absolute path. */
  readonly rootBytes: number;
  /** By one request. */
  readonly maxReadBytes: number;
  readonly maxWriteBytes: number;
  /** Of each channel; 0 if the server does not say. */
  readonly maxOpenHandles: number;
  close(): Promise<void>;
}

/** An account of any OpenSSH `sftp-server`, or one like it. */
export class SftpFileStore implements FileStore {
  readonly address: string;
  readonly maxPathBytes: number;
  readonly features: FileStore['features'];
  readonly #channels: SftpChannels;
  readonly #lanes: SftpLanes;
  readonly #first: SftpClient;
  readonly #maxReadBytes: number;
  readonly #maxWriteBytes: number;
  #hasContentChannels = false;

  constructor(channels: SftpChannels) {
    const { first, maxReadBytes, maxWriteBytes, maxOpenHandles } = channels;
    this.#channels = channels;
    this.#first = first;
    this.#maxReadBytes = maxReadBytes;
    this.#maxWriteBytes = maxWriteBytes;
    this.#lanes = new SftpLanes([first]);
    void channels.names.then((clients) => this.#lanes.use(clients));
    this.address = channels.address;
    this.maxPathBytes = PATH_MAX_BYTES - channels.rootBytes - 1;
    this.features = {
      fsync: first.has('fsync@openssh.com'),
      serverSideCopy:
        first.has('copy-data') && (maxOpenHandles === 0 || maxOpenHandles >= HANDLES_FOR_COPIES),
      hardLinks: first.has('hardlink@openssh.com'),
      atomicRename: first.has('posix-rename@openssh.com'),
    };
  }

  ready(): Promise<void> | undefined {
    for (const client of this.#lanes.clients) {
      if (client.pending >= MAX_PENDING_PER_CHANNEL) return client.below(MAX_PENDING_PER_CHANNEL / 2);
    }
    return undefined;
  }

  mkdir(path: Buffer): Promise<void> {
    return this.#lanes.mkdir(path, (client) =>
      this.#translated('make the folder', path, client.mkdir(this.#full(path), { permissions: 0o700 })),
    );
  }

  rmdir(path: Buffer): Promise<void> {
    return this.#translated('remove the folder', path, this.#lanes.forPath(path).rmdir(this.#full(path)));
  }

  link(existing: Buffer, path: Buffer): Promise<LinkOutcome> {
    return this.#lanes
      .forPath(path)
      .hardlink(this.#full(existing), this.#full(path))
      .then(toLinked, (error: unknown) => this.#linkFailure(error, path));
  }

  symlink(path: Buffer, target: Buffer): Promise<void> {
    return this.#translated(
      'make the symlink',
      path,
      this.#lanes.forPath(path).symlink(target, this.#full(path)),
    );
  }

  readlink(path: Buffer): Promise<Buffer> {
    return this.#translated('read the symlink', path, this.#first.readlink(this.#full(path)));
  }

  async writeFile(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    const channel = this.#channelForNew(path);
    const client = channel instanceof Promise ? await channel : channel;
    const handle = await this.#translated('write', path, this.#create(client, path, about));
    const answers: Promise<void>[] = [];
    for (let offset = 0; offset < content.length; offset += this.#maxWriteBytes) {
      answers.push(client.write(handle, offset, content.subarray(offset, offset + this.#maxWriteBytes)));
    }
    answers.push(
      client.fsetstat(handle, { atimeS: clampTime(about.mtimeS), mtimeS: clampTime(about.mtimeS) }),
    );
    if (about.flush && this.features.fsync) answers.push(client.fsync(handle));
    answers.push(client.close(handle));
    const failed = (await Promise.allSettled(answers)).find((answer) => answer.status === 'rejected');
    if (failed) throw await this.#translate(failed.reason, 'write', path);
  }

  async openFile(path: Buffer, about: NewFile, expectedBytes?: number): Promise<FileSink> {
    const client = await this.#channelForNew(path, expectedBytes);
    const handle = await this.#translated('write', path, this.#create(client, path, about));
    return new SftpSink(this.#sinkOptions(client, handle, { path, about }));
  }

  async openFileFrom(
    path: Buffer,
    older: Omit<OlderFile, 'place'> & { path: Buffer },
    about: NewFile,
  ): Promise<PatchSink | undefined> {
    // both handles have to be of one channel: one process has them
    const client = await this.#channelForNew(path);
    const from = await this.#openOlder(client, older);
    if (from === undefined) return undefined;
    try {
      const handle = await this.#translated('write', path, this.#create(client, path, about));
      return new SftpPatchSink({ ...this.#sinkOptions(client, handle, { path, about }), from });
    } catch (error) {
      client.close(from).catch(() => undefined);
      throw error;
    }
  }

  async readFile(path: Buffer, sizeBytes: number): Promise<Buffer> {
    if (sizeBytes < this.#maxReadBytes) {
      const content = await this.#readOnce(path, sizeBytes);
      // a server may give fewer bytes than were asked for: only an answer without any is the end
      if (content.length >= sizeBytes || content.length === 0) return content;
    }
    const pieces: Buffer[] = [];
    const all = [{ offsetBytes: 0, lengthBytes: sizeBytes + 1 }];
    for await (const { bytes } of this.#read(path, all, sizeBytes)) pieces.push(bytes);
    return Buffer.concat(pieces);
  }

  async *readStream(path: Buffer, expectedBytes?: number): AsyncGenerator<Buffer> {
    const all = [{ offsetBytes: 0, lengthBytes: Number.MAX_SAFE_INTEGER }];
    for await (const { bytes } of this.#read(path, all, expectedBytes)) yield bytes;
  }

  readExtents(
    path: Buffer,
    extents: readonly Extent[],
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    return this.#read(path, extents);
  }

  async *list(path: Buffer): AsyncGenerator<readonly StoredItem[]> {
    try {
      for await (const items of listFolder(
        this.#lanes.forPath(joinPath(path, Buffer.from('x'))),
        this.#full(path),
      )) {
        yield await this.#told(path, items);
      }
    } catch (error) {
      throw await this.#translate(error, 'list', path);
    }
  }

  async lstat(path: Buffer): Promise<StoredStat | undefined> {
    try {
      const attributes = await this.#lanes.forPath(path).lstat(this.#full(path));
      return {
        type: typeOf(attributes.permissions),
        sizeBytes: attributes.sizeBytes ?? 0,
        mtimeS: attributes.mtimeS ?? 0,
      };
    } catch (error) {
      if (error instanceof SftpStatusError && error.status === STATUS.NO_SUCH_FILE) return undefined;
      throw await this.#translate(error, 'look at', path);
    }
  }

  renameNew(from: Buffer, to: Buffer): Promise<void> {
    return this.#translated('rename', from, this.#first.rename(this.#full(from), this.#full(to)));
  }

  renameOver(from: Buffer, to: Buffer): Promise<void> {
    return this.#translated('rename', from, this.#first.posixRename(this.#full(from), this.#full(to)));
  }

  remove(path: Buffer): Promise<void> {
    return this.#translated('remove', path, this.#lanes.forPath(path).remove(this.#full(path)));
  }

  async flush(path: Buffer): Promise<void> {
    if (!this.features.fsync) return;
    const handle = await this.#translated('flush', path, this.#first.open(this.#full(path), OPEN.READ));
    const [synced] = await Promise.allSettled([this.#first.fsync(handle), this.#first.close(handle)]);
    if (synced.status === 'rejected') throw await this.#translate(synced.reason, 'flush', path);
  }

  async flushAll(): Promise<void> {
    // SFTP has no request for it; files of some size are flushed one by one as they are closed
  }

  async space(): Promise<Space | undefined> {
    if (!this.#first.has('statvfs@openssh.com')) return undefined;
    const stat = await this.#translated('look at', Buffer.alloc(0), this.#first.statvfs(this.#channels.root));
    // a file system that can't say answers zeros
    if (stat.blocks === 0) return undefined;
    return {
      totalBytes: stat.fragmentSizeBytes * stat.blocks,
      freeBytes: stat.fragmentSizeBytes * stat.availableBlocks,
      freeInodes: stat.inodes === 0 ? undefined : stat.availableInodes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channels.close();
  }

  /** Names of a folder with what they are; a server that leaves that out of its listing is asked for each. */
  async #told(folder: Buffer, items: readonly DirectoryItem[]): Promise<readonly StoredItem[]> {
    const odd = items.find(({ name }) => name.length === 0 || name.includes(SLASH) || name.includes(0));
    if (odd) {
      const where = folder.length === 0 ? "the account's folder" : escapeName(folder);
      throw this.#unfit(`lists "${escapeName(odd.name)}" in ${where}, a name that no folder can hold`);
    }
    if (items.every(({ attributes }) => isTold(attributes))) return items.map(toStoredItem);
    const told = await Promise.all(items.map((item) => this.#tell(joinPath(folder, item.name), item)));
    return told.filter((item) => item !== undefined);
  }

  /** Undefined if it is gone since it was listed. */
  async #tell(path: Buffer, item: DirectoryItem): Promise<StoredItem | undefined> {
    if (isTold(item.attributes)) return toStoredItem(item);
    try {
      const attributes = await this.#lanes.forPath(path).lstat(this.#full(path));
      if (isTold(attributes)) return toStoredItem({ ...item, attributes });
    } catch (error) {
      if (error instanceof SftpStatusError && error.status === STATUS.NO_SUCH_FILE) return undefined;
      throw error;
    }
    throw this.#unfit(`does not tell whether ${escapeName(path)} is a file or a folder, or its size`);
  }

  #unfit(what: string): AgentError {
    return new AgentError('STORAGE_UNFIT', `the SFTP server of ${this.address} ${what}`, {
      hint: "use OpenSSH's internal-sftp there, or another storage",
    });
  }

  /** Undefined if it is not there, or is not as long as it should be. */
  async #openOlder(
    client: SftpClient,
    { path, sizeBytes, begins }: Omit<OlderFile, 'place'> & { path: Buffer },
  ): Promise<Handle | undefined> {
    try {
      const handle = await client.open(this.#full(path), OPEN.READ);
      const stat = await client.fstat(handle);
      if (stat.sizeBytes === sizeBytes && (await startsWith(client, handle, begins))) return handle;
      await client.close(handle);
      return undefined;
    } catch (error) {
      if (error instanceof SftpStatusError) return undefined;
      throw await this.#translate(error, 'read', path);
    }
  }

  #sinkOptions(
    client: SftpClient,
    handle: Handle,
    { path, about }: { path: Buffer; about: NewFile },
  ): SftpSinkOptions {
    return {
      client,
      handle,
      about,
      object: `${this.address}/${escapeName(path)}`,
      maxWriteBytes: this.#maxWriteBytes,
      canFsync: this.features.fsync,
      early: this.features.fsync ? new EarlyFlush(() => this.#flushBeside(client, path)) : undefined,
      remove: () => this.#translated('remove', path, client.remove(this.#full(path))),
      translate: (error) => this.#translate(error, 'write', path),
    };
  }

  #create(client: SftpClient, path: Buffer, about: NewFile): Promise<Handle> {
    // read-only from the start: nothing should write to a file that history shares
    const permissions = about.executable ? 0o500 : 0o400;
    return client.open(this.#full(path), OPEN.WRITE | OPEN.CREATE | OPEN.EXCLUSIVE, { permissions });
  }

  /** The channel for a new file: in order with its folder's making, or, on another connection, after it. */
  #channelForNew(path: Buffer, expectedBytes?: number): SftpClient | Promise<SftpClient> {
    if (!this.#channels.content) return this.#lanes.forPath(path);
    const parentReady = this.#lanes.parentReady(path);
    return parentReady
      ? parentReady.then(() => this.#channelFor(expectedBytes))
      : this.#channelFor(expectedBytes);
  }

  /** By the least busy channel for names but the one that writes; undefined if there is no other. */
  #flushBeside(writing: SftpClient, path: Buffer): Promise<void> | undefined {
    const others = this.#lanes.clients.filter((client) => client !== writing);
    return others.length > 0 ? flushByPath(quietestOf(others), this.#full(path)) : undefined;
  }

  /** The least busy channel for content; a little of it is not worth opening channels of its own. */
  async #channelFor(expectedBytes = Number.POSITIVE_INFINITY): Promise<SftpClient> {
    const { content } = this.#channels;
    if (!content) return this.#lanes.quietest();
    if (expectedBytes <= LITTLE_CONTENT_BYTES && !this.#hasContentChannels) return this.#first;
    this.#hasContentChannels = true;
    return quietestOf(await content());
  }

  /** What one request gives of a file; asks for a byte more than expected, so that one that is too long does not look right. */
  async #readOnce(path: Buffer, sizeBytes: number): Promise<Buffer> {
    const client = await this.#channelFor(sizeBytes);
    const handle = await this.#translated('read', path, client.open(this.#full(path), OPEN.READ));
    const answers = [client.read(handle, 0, sizeBytes + 1), client.close(handle)] as const;
    const [content, closed] = await Promise.allSettled(answers);
    if (content.status === 'rejected') throw await this.#translate(content.reason, 'read', path);
    if (closed.status === 'rejected') throw await this.#translate(closed.reason, 'read', path);
    return content.value;
  }

  async *#read(
    path: Buffer,
    extents: readonly Extent[],
    expectedBytes?: number,
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    const client = await this.#channelFor(expectedBytes);
    const handle = await this.#translated('read', path, client.open(this.#full(path), OPEN.READ));
    try {
      for (const extent of extents)
        yield* readAhead(client, handle, { extent, maxReadBytes: this.#maxReadBytes });
    } catch (error) {
      throw await this.#translate(error, 'read', path);
    } finally {
      client.close(handle).catch(() => undefined);
    }
  }

  async #linkFailure(error: unknown, path: Buffer): Promise<LinkOutcome> {
    if (error instanceof SftpStatusError) {
      if (error.status === STATUS.NO_SUCH_FILE) return 'missing';
      // 65,000 links, another file system, or a full disk: a copy is tried next, and tells
      const { FAILURE, PERMISSION_DENIED, OP_UNSUPPORTED } = STATUS;
      if (error.status === FAILURE || error.status === PERMISSION_DENIED || error.status === OP_UNSUPPORTED)
        return 'refused';
    }
    throw await this.#translate(error, 'link', path);
  }

  /** Relative to where the login starts, if the account is there: shorter to send, and for the storage to walk. */
  #full(path: Buffer): Buffer {
    return joinPath(this.#channels.root, path);
  }

  #translated<T>(what: string, path: Buffer, answer: Promise<T>): Promise<T> {
    return answer.catch(async (error: unknown) => {
      throw await this.#translate(error, what, path);
    });
  }

  async #translate(error: unknown, what: string, path: Buffer): Promise<unknown> {
    if (error instanceof SftpConnectionError) return connectionLost(this.address, error);
    if (!(error instanceof SftpStatusError)) return error;
    const object = `${this.address}/${escapeName(path)}`;
    if (error.status === STATUS.NO_SUCH_FILE) {
      const missing = new MissingFromStorage(`${object} is not there`, { cause: error });
      // the reason may be that its folder could not be made, which is being looked into
      return (
        this.#lanes.parentReady(path)?.then(
          () => missing,
          (reason: unknown) => reason,
        ) ?? missing
      );
    }
    const space = error.status === STATUS.FAILURE ? await this.space().catch(() => undefined) : undefined;
    if (space && (space.freeBytes < ALMOST_FULL_BYTES || (space.freeInodes ?? 1) === 0)) {
      return new AgentError('STORAGE_FULL', `the storage is full: can't ${what} ${object}`, {
        hint: 'free space there (bakker retention) or enlarge it, then run bakker backup again: it continues',
        cause: error,
      });
    }
    return new AgentError(
      'STORAGE_REFUSED',
      `the storage refused: can't ${what} ${object} (${error.message})`,
      {
        hint: 'check the rights, the quota and the log of the SSH server there; bakker doctor tries what the account can do',
        cause: error,
      },
    );
  }
}

const SLASH = 0x2f;

/** A server that had greeted was cut off, or ended. @param account - as people call it */
export function connectionLost(account: string, cause: SftpConnectionError): AgentError {
  return new AgentError('CONNECTION_LOST', `the connection to ${account} was lost: ${cause.message}`, {
    hint: 'run the command again; a backup continues where it was cut off',
    cause,
  });
}

/** A file system that has less than this left refuses writes of common sizes. */
const ALMOST_FULL_BYTES = 1024 * 1024;

function toLinked(): LinkOutcome {
  return 'linked';
}
