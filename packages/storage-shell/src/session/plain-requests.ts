import { classifyName } from '@bakker/impl-format/storage';
import { STATUS } from '@bakker/sftp/server';
import type { Attributes, SftpReply, SftpRequest } from '@bakker/sftp/server';
import { StorageError } from '../errors.ts';
import type { AccountReader } from '../ports/account.ts';
import { MAX_HANDLES } from './handles.ts';
import type { Handles } from './handles.ts';
import { absolute, isListed, isVisible, join, normalise, startsWithLatest } from './visible-path.ts';
import type { VisiblePath } from './visible-path.ts';

/** Names in one READDIR reply: as many as OpenSSH sends. */
const NAMES_AT_ONCE = 100;
const MAX_READ_BYTES = 255 * 1024;
/** A packet of a WRITE with as many bytes as a READ gives. */
const MAX_PACKET_BYTES = 256 * 1024;

/** Requests of standard SFTP that the table allows. Carries them out; whether they may be asked was decided before. */
export class PlainRequests {
  readonly #reader: AccountReader;
  readonly #handles: Handles;

  constructor(reader: AccountReader, handles: Handles) {
    this.#reader = reader;
    this.#handles = handles;
  }

  /** @throws StorageError, errno errors */
  perform(request: Exclude<SftpRequest, { type: 'extended' }>): SftpReply {
    switch (request.type) {
      case 'realpath':
        return { type: 'path', path: absolute(normalise(request.path)) };
      case 'limits':
        return {
          type: 'limits',
          limits: {
            maxPacketBytes: MAX_PACKET_BYTES,
            maxReadBytes: MAX_READ_BYTES,
            maxWriteBytes: MAX_READ_BYTES,
            maxOpenHandles: MAX_HANDLES,
          },
        };
      case 'fstatvfs':
        this.#handles.get(request.handle, 'file', 'folder', 'new');
        return { type: 'statvfs', status: this.#reader.fileSystem() };
      case 'statvfs':
        return { type: 'statvfs', status: this.#reader.fileSystem() };
      case 'lstat':
        return { type: 'attributes', attributes: this.#reader.attributes(this.#pathItself(request.path)) };
      case 'stat':
        return { type: 'attributes', attributes: this.#reader.attributes(this.#path(request.path).path) };
      case 'readlink':
        return { type: 'path', path: this.#reader.readlink(this.#pathItself(request.path)) };
      case 'open': {
        this.#handles.reserve();
        const file = this.#reader.openFile(this.#finished(request.path).path);
        return { type: 'handle', handle: this.#handles.add({ kind: 'file', file }) };
      }
      case 'opendir': {
        this.#handles.reserve();
        const { path, visible } = this.#finished(request.path);
        const folder = this.#reader.openFolder(path);
        return { type: 'handle', handle: this.#handles.add({ kind: 'folder', folder, path: copy(visible) }) };
      }
      case 'read': {
        const { file } = this.#handles.get(request.handle, 'file');
        const bytes = file.read(request.offset, request.length);
        return bytes.length === 0 && request.length > 0 ? END : { type: 'data', bytes };
      }
      case 'readdir': {
        const { folder, path } = this.#handles.get(request.handle, 'folder');
        const items = folder.next(NAMES_AT_ONCE, (name) => isListed(path, name));
        return items === undefined ? END : { type: 'names', items };
      }
      case 'fstat': {
        const held = this.#handles.get(request.handle, 'file', 'folder', 'new');
        if (held.kind === 'new' && held.isSecret)
          throw new StorageError('DENIED', 'this key may not read, and this file began as a copy');
        const attributes = held.kind === 'folder' ? held.folder.attributes() : held.file.attributes();
        return { type: 'attributes', attributes };
      }
      case 'close': {
        const held = this.#handles.get(request.handle, 'file', 'folder', 'new');
        this.#handles.drop(request.handle);
        // A new file that was not finished is none: its size and content are not what anybody counted.
        if (held.kind === 'new') held.file.discard();
        else if (held.kind === 'file') held.file.close();
        else held.folder.close();
        return DONE;
      }
      case 'write':
        this.#handles.get(request.handle, 'new').file.write(request.offset, request.bytes);
        return DONE;
      case 'fsetstat': {
        const held = this.#handles.get(request.handle, 'file', 'folder', 'new');
        if (held.kind !== 'new') throw new StorageError('PAST_READ_ONLY', 'the past is read-only');
        held.file.resize(onlySize(request.attributes));
        return DONE;
      }
      case 'fsync':
        this.#handles.get(request.handle, 'new').file.flush();
        return DONE;
      default:
        throw new StorageError('UNSUPPORTED', `this storage does not serve ${request.type}`);
    }
  }

  /** The path that a client means, `latest` followed. @throws StorageError NOT_FOUND */
  #path(asked: Buffer): { path: Buffer; visible: VisiblePath } {
    const visible = normalise(asked);
    if (!isVisible(visible)) throw nothingThere();
    if (!startsWithLatest(visible)) return { path: join(visible.components), visible };
    const run = this.#reader.latest();
    if (run === undefined) throw nothingThere();
    const followed = { components: [Buffer.from(run), ...visible.components.slice(1)] };
    return { path: join(followed.components), visible: followed };
  }

  /**
   * The same for what is opened. Who holds something open keeps its blocks, also when he has given it up and they do not count for
   * him any more: of what a client can remove, nothing is opened.
   *
   * @throws StorageError NOT_FOUND, DENIED
   */
  #finished(asked: Buffer): { path: Buffer; visible: VisiblePath } {
    const found = this.#path(asked);
    const [first] = found.visible.components;
    if (first === undefined || classifyName(first).kind !== 'incomplete') return found;
    throw new StorageError('DENIED', 'a run that is not finished is not read');
  }

  /** The same, but `latest` alone is the symlink itself. */
  #pathItself(asked: Buffer): Buffer {
    const visible = normalise(asked);
    if (visible.components.length === 1 && isVisible(visible)) return join(visible.components);
    return this.#path(asked).path;
  }
}

const DONE: SftpReply = { type: 'status', code: STATUS.OK };
const END: SftpReply = { type: 'status', code: STATUS.EOF };

/** `finish` sets all else. */
function onlySize({ sizeBytes, ...others }: Attributes): number {
  if (sizeBytes !== undefined && Object.values(others).every((value) => value === undefined))
    return sizeBytes;
  throw new StorageError('OUT_OF_ORDER', 'of a new file only the size can be set; finish sets the rest');
}

/** The bytes of a request are gone once it is answered. */
function copy({ components }: VisiblePath): VisiblePath {
  return { components: components.map((component) => Buffer.from(component)) };
}

function nothingThere(): StorageError {
  return new StorageError('NOT_FOUND', 'nothing is there');
}
