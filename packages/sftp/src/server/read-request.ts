import { readAttributes } from '../attributes.ts';
import type { Attributes } from '../attributes.ts';
import { MalformedPacket } from '../errors.ts';
import { MAX_HANDLE_BYTES } from '../handle.ts';
import type { PacketReader } from '../packet-reader.ts';
import { EXTENSION, MAX_WRITE_BYTES, PACKET } from '../protocol.ts';
import type { SftpRequest } from './service.ts';

/**
 * Decodes a request that stands behind its type and id. What follows its last field is passed over, as OpenSSH does.
 *
 * @returns undefined for a type that is no request
 * @param isOwnMemory - whether the packet lies in memory of its own
 * @throws MalformedPacket if the packet ends before its contents, or they are not allowed (see SftpRequest)
 */
export function readRequest(
  type: number,
  reader: PacketReader,
  isOwnMemory: boolean,
): SftpRequest | undefined {
  switch (type) {
    case PACKET.OPEN:
      return { type: 'open', path: path(reader), flags: reader.u32(), attributes: attributes(reader) };
    case PACKET.CLOSE:
      return { type: 'close', handle: handle(reader) };
    case PACKET.READ:
      return {
        type: 'read',
        handle: handle(reader),
        offset: offset(reader),
        length: Math.min(reader.u32(), MAX_WRITE_BYTES),
      };
    case PACKET.WRITE:
      return { type: 'write', handle: handle(reader), offset: offset(reader), bytes: reader.string() };
    case PACKET.LSTAT:
      return { type: 'lstat', path: path(reader) };
    case PACKET.FSTAT:
      return { type: 'fstat', handle: handle(reader) };
    case PACKET.SETSTAT:
      return { type: 'setstat', path: path(reader), attributes: attributes(reader) };
    case PACKET.FSETSTAT:
      return { type: 'fsetstat', handle: handle(reader), attributes: attributes(reader) };
    case PACKET.OPENDIR:
      return { type: 'opendir', path: path(reader) };
    case PACKET.READDIR:
      return { type: 'readdir', handle: handle(reader) };
    case PACKET.REMOVE:
      return { type: 'remove', path: path(reader) };
    case PACKET.MKDIR:
      return { type: 'mkdir', path: path(reader), attributes: attributes(reader) };
    case PACKET.RMDIR:
      return { type: 'rmdir', path: path(reader) };
    case PACKET.REALPATH:
      return { type: 'realpath', path: path(reader) };
    case PACKET.STAT:
      return { type: 'stat', path: path(reader) };
    case PACKET.RENAME:
      return { type: 'rename', from: path(reader), to: path(reader) };
    case PACKET.READLINK:
      return { type: 'readlink', path: path(reader) };
    case PACKET.SYMLINK:
      return { type: 'symlink', target: path(reader), path: path(reader) };
    case PACKET.EXTENDED:
      return readExtended(reader, isOwnMemory);
    default:
      return undefined;
  }
}

function readExtended(reader: PacketReader, isOwnMemory: boolean): SftpRequest {
  const bytes = reader.string();
  if (bytes.length > MAX_NAME_BYTES) throw new MalformedPacket('the name of an extension is too long');
  const name = bytes.toString('latin1');
  switch (name) {
    case EXTENSION.HARDLINK:
      return { type: 'hardlink', from: path(reader), to: path(reader) };
    case EXTENSION.POSIX_RENAME:
      return { type: 'posix-rename', from: path(reader), to: path(reader) };
    case EXTENSION.STATVFS:
      return { type: 'statvfs', path: path(reader) };
    case EXTENSION.FSTATVFS:
      return { type: 'fstatvfs', handle: handle(reader) };
    case EXTENSION.FSYNC:
      return { type: 'fsync', handle: handle(reader) };
    case EXTENSION.LSETSTAT:
      return { type: 'lsetstat', path: path(reader), attributes: attributes(reader) };
    case EXTENSION.LIMITS:
      return { type: 'limits' };
    case EXTENSION.COPY_DATA:
      return {
        type: 'copy-data',
        from: handle(reader),
        fromOffset: offset(reader),
        length: offset(reader),
        to: handle(reader),
        toOffset: offset(reader),
      };
    default:
      return { type: 'extended', name, body: reader.rest(), isOwnMemory };
  }
}

const MAX_NAME_BYTES = 256;

function path(reader: PacketReader): Buffer {
  const bytes = reader.string();
  if (bytes.includes(0)) throw new MalformedPacket('a path has a NUL byte');
  return bytes;
}

function handle(reader: PacketReader): Buffer {
  const bytes = reader.string();
  if (bytes.length === 0 || bytes.length > MAX_HANDLE_BYTES)
    throw new MalformedPacket(`no handle has ${bytes.length} bytes`);
  return bytes;
}

function offset(reader: PacketReader): number {
  const value = reader.u64();
  if (!Number.isSafeInteger(value)) throw new MalformedPacket('an offset or length is too large');
  return value;
}

function attributes(reader: PacketReader): Attributes {
  const read = readAttributes(reader);
  if (read.sizeBytes !== undefined && !Number.isSafeInteger(read.sizeBytes))
    throw new MalformedPacket('a size is too large');
  return read;
}
