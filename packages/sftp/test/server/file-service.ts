import * as fs from 'node:fs';
import type { Attributes } from '../../src/attributes.ts';
import { OPEN, STATUS } from '../../src/protocol.ts';
import { SftpRefusal } from '../../src/server/errors.ts';
import type { NamedItem, SftpReply, SftpRequest, SftpService } from '../../src/server/service.ts';

/** Real files, without any policy. Relative paths are below the process's folder. */
export class FileService implements SftpService {
  readonly #handles = new Map<number, number | Folder>();
  #nextHandle = 1;

  handle(request: SftpRequest): SftpReply {
    try {
      return this.#perform(request);
    } catch (error) {
      if (error instanceof Error && 'code' in error)
        throw new SftpRefusal(statusOf(error.code), error.message);
      throw error;
    }
  }

  #perform(request: SftpRequest): SftpReply {
    switch (request.type) {
      case 'open':
        return this.#add(
          fs.openSync(here(request.path), openFlags(request.flags), request.attributes.permissions ?? 0o666),
        );
      case 'close': {
        const open = this.#get(request.handle);
        this.#handles.delete(request.handle.readUInt32BE());
        if (typeof open === 'number') fs.closeSync(open);
        else open.dir.closeSync();
        return OK;
      }
      case 'read': {
        const bytes = Buffer.allocUnsafe(request.length);
        const count = fs.readSync(this.#file(request.handle), bytes, 0, request.length, request.offset);
        return count === 0 ? EOF : { type: 'data', bytes: bytes.subarray(0, count) };
      }
      case 'write':
        fs.writeSync(this.#file(request.handle), request.bytes, 0, request.bytes.length, request.offset);
        return OK;
      case 'lstat':
        return { type: 'attributes', attributes: attributesOf(fs.lstatSync(here(request.path))) };
      case 'stat':
        return { type: 'attributes', attributes: attributesOf(fs.statSync(here(request.path))) };
      case 'fstat':
        return { type: 'attributes', attributes: attributesOf(fs.fstatSync(this.#file(request.handle))) };
      case 'setstat':
        setAttributes(here(request.path), request.attributes);
        return OK;
      case 'lsetstat': {
        const { atimeS = 0, mtimeS = 0 } = request.attributes;
        fs.lutimesSync(here(request.path), atimeS, mtimeS);
        return OK;
      }
      case 'fsetstat':
        setAttributes(`/proc/self/fd/${this.#file(request.handle)}`, request.attributes);
        return OK;
      case 'opendir': {
        const path = here(request.path);
        // @ts-expect-error the types have no Buffer names here
        const dir: fs.Dir = fs.opendirSync(path, { encoding: 'buffer' });
        return this.#add({ path, dir, dots: true });
      }
      case 'readdir':
        return this.#readFolder(request.handle);
      case 'remove':
        fs.unlinkSync(here(request.path));
        return OK;
      case 'mkdir':
        fs.mkdirSync(here(request.path), request.attributes.permissions ?? 0o777);
        return OK;
      case 'rmdir':
        fs.rmdirSync(here(request.path));
        return OK;
      case 'realpath':
        return { type: 'path', path: realpath(here(request.path)) };
      case 'readlink':
        return { type: 'path', path: fs.readlinkSync(here(request.path), 'buffer') };
      case 'rename':
        fs.linkSync(here(request.from), here(request.to));
        fs.unlinkSync(here(request.from));
        return OK;
      case 'posix-rename':
        fs.renameSync(here(request.from), here(request.to));
        return OK;
      case 'hardlink':
        fs.linkSync(here(request.from), here(request.to));
        return OK;
      case 'symlink':
        fs.symlinkSync(request.target, here(request.path));
        return OK;
      case 'fsync':
        fs.fsyncSync(this.#file(request.handle));
        return OK;
      case 'copy-data': {
        const { from, fromOffset, to, toOffset, length } = request;
        const bytes = Buffer.alloc(length || fs.fstatSync(this.#file(from)).size);
        const count = fs.readSync(this.#file(from), bytes, 0, bytes.length, fromOffset);
        fs.writeSync(this.#file(to), bytes, 0, count, toOffset);
        return OK;
      }
      case 'statvfs':
      case 'fstatvfs': {
        const path = 'handle' in request ? `/proc/self/fd/${this.#file(request.handle)}` : here(request.path);
        const { bsize, blocks, bfree, bavail, files, ffree, type } = fs.statfsSync(path);
        return {
          type: 'statvfs',
          status: {
            blockSizeBytes: bsize,
            fragmentSizeBytes: bsize,
            blocks,
            freeBlocks: bfree,
            availableBlocks: bavail,
            inodes: files,
            freeInodes: ffree,
            availableInodes: ffree,
            fileSystemId: BigInt(type) << 32n,
            readOnly: true,
            noSetuid: false,
            maxNameBytes: 255,
          },
        };
      }
      case 'limits':
        return {
          type: 'limits',
          limits: {
            maxPacketBytes: 262144,
            maxReadBytes: 261120,
            maxWriteBytes: 261120,
            maxOpenHandles: 1019,
          },
        };
      case 'extended':
        return { type: 'status', code: STATUS.OP_UNSUPPORTED };
    }
  }

  #readFolder(handle: Buffer): SftpReply {
    const folder = this.#get(handle);
    if (typeof folder === 'number') throw new SftpRefusal(STATUS.FAILURE, 'no folder');
    const names = folder.dots ? [Buffer.from('.'), Buffer.from('..')] : [];
    folder.dots = false;
    while (names.length < 100) {
      const entry = folder.dir.readSync();
      if (entry === null) break;
      names.push(Buffer.from(entry.name));
    }
    const items = names.map((name): NamedItem => {
      const stats = fs.lstatSync(Buffer.concat([folder.path, SLASH, name]));
      return { name, attributes: attributesOf(stats), linkCount: stats.nlink };
    });
    return items.length === 0 ? EOF : { type: 'names', items };
  }

  #add(open: number | Folder): SftpReply {
    const number = this.#nextHandle++;
    this.#handles.set(number, open);
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(number);
    return { type: 'handle', handle };
  }

  #get(handle: Buffer): number | Folder {
    const open = handle.length === 4 ? this.#handles.get(handle.readUInt32BE()) : undefined;
    if (open === undefined) throw new SftpRefusal(STATUS.NO_SUCH_FILE, 'no such handle');
    return open;
  }

  #file(handle: Buffer): number {
    const open = this.#get(handle);
    if (typeof open !== 'number') throw new SftpRefusal(STATUS.FAILURE, 'no file');
    return open;
  }
}

interface Folder {
  readonly path: Buffer;
  readonly dir: fs.Dir;
  dots: boolean;
}

const OK: SftpReply = { type: 'status', code: STATUS.OK };
const EOF: SftpReply = { type: 'status', code: STATUS.EOF };
const SLASH = Buffer.from('/');

function here(path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from('.') : path;
}

/** As OpenSSH's server has it, the last name need not be there: its client asks before it makes a folder. */
function realpath(path: Buffer): Buffer {
  if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) return fs.realpathSync(path, 'buffer');
  const slash = path.lastIndexOf('/');
  const folder = fs.realpathSync(slash > 0 ? path.subarray(0, slash) : '.', 'buffer');
  return Buffer.concat([folder, SLASH, path.subarray(slash + 1)]);
}

function openFlags(flags: number): number {
  const access = flags & OPEN.WRITE ? (flags & OPEN.READ ? fs.constants.O_RDWR : fs.constants.O_WRONLY) : 0;
  return (
    access |
    (flags & OPEN.CREATE ? fs.constants.O_CREAT : 0) |
    (flags & OPEN.TRUNCATE ? fs.constants.O_TRUNC : 0) |
    (flags & OPEN.EXCLUSIVE ? fs.constants.O_EXCL : 0)
  );
}

function attributesOf(stats: fs.Stats): Attributes {
  return {
    sizeBytes: stats.size,
    permissions: stats.mode,
    uid: stats.uid,
    gid: stats.gid,
    atimeS: stats.atimeMs / 1000,
    mtimeS: stats.mtimeMs / 1000,
  };
}

function setAttributes(
  path: Buffer | string,
  { sizeBytes, permissions, uid, gid, ...times }: Attributes,
): void {
  if (sizeBytes !== undefined) fs.truncateSync(path, sizeBytes);
  if (permissions !== undefined) fs.chmodSync(path, permissions & 0o7777);
  if (uid !== undefined && gid !== undefined) fs.chownSync(path, uid, gid);
  if (times.atimeS !== undefined && times.mtimeS !== undefined)
    fs.utimesSync(path, times.atimeS, times.mtimeS);
}

function statusOf(code: unknown): number {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'EBADF')
    return STATUS.NO_SUCH_FILE;
  return code === 'EACCES' || code === 'EPERM' ? STATUS.PERMISSION_DENIED : STATUS.FAILURE;
}
