import type { Attributes } from './attributes.ts';
import { readAttributes } from './attributes.ts';
import { MalformedPacket } from './errors.ts';
import { MAX_HANDLE_BYTES } from './handle.ts';
import type { PacketReader } from './packet-reader.ts';
import { PACKET } from './protocol.ts';

/** An open file or folder of the server's. `path` is what it was opened by, for messages. */
export interface Handle {
  readonly bytes: Buffer;
  readonly path: Buffer;
}

/** One name in a folder, as READDIR tells it; `.` and `..` are among them. */
export interface DirectoryItem {
  readonly name: Buffer;
  /** OpenSSH: a line as of `ls -l`. */
  readonly longName: Buffer;
  readonly attributes: Attributes;
}

/** statvfs(3) of the file system that holds a path; counts above 2^53 are rounded. */
export interface FileSystemStatus {
  readonly blockSizeBytes: number;
  /** The unit of the block counts. */
  readonly fragmentSizeBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  /** Free for users other than root. */
  readonly availableBlocks: number;
  readonly inodes: number;
  readonly freeInodes: number;
  readonly availableInodes: number;
  readonly fileSystemId: bigint;
  readonly readOnly: boolean;
  readonly noSetuid: boolean;
  readonly maxNameBytes: number;
}

/** What `limits@openssh.com` tells; 0 means that the server does not say. */
export interface ServerLimits {
  readonly maxPacketBytes: number;
  readonly maxReadBytes: number;
  readonly maxWriteBytes: number;
  readonly maxOpenHandles: number;
}

/** What a request is answered with when all is well. */
export interface ReplyKind<T> {
  readonly type: number;
  decode(reader: PacketReader, path: Buffer): T;
  /** The value for a status of EOF, where that is no error. */
  readonly atEof?: { readonly value: T };
  /** The value for a status of OK, where a reply of `type` may have that in its place. */
  readonly atOk?: { readonly value: T };
}

export const STATUS_REPLY: ReplyKind<void> = { type: PACKET.STATUS, decode: () => undefined };

export const HANDLE_REPLY: ReplyKind<Handle> = {
  type: PACKET.HANDLE,
  decode(reader, path) {
    const bytes = reader.string();
    if (bytes.length > MAX_HANDLE_BYTES) throw new MalformedPacket(`a handle of ${bytes.length} bytes came`);
    return { bytes: Buffer.from(bytes), path };
  },
};

export const DATA_REPLY: ReplyKind<Buffer> = {
  type: PACKET.DATA,
  decode(reader) {
    const bytes = reader.string();
    // A view would keep the whole chunk alive: worth it only when it is most of the chunk.
    return bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes;
  },
  atEof: { value: Buffer.alloc(0) },
};

export const ATTRIBUTES_REPLY: ReplyKind<Attributes> = { type: PACKET.ATTRS, decode: readAttributes };

export const ITEMS_REPLY: ReplyKind<DirectoryItem[] | undefined> = {
  type: PACKET.NAME,
  decode: readItems,
  atEof: { value: undefined },
};

/** The single name that REALPATH and READLINK answer. */
export const PATH_REPLY: ReplyKind<Buffer> = {
  type: PACKET.NAME,
  decode(reader) {
    const [item, ...others] = readItems(reader);
    if (item === undefined || others.length > 0)
      throw new MalformedPacket('a reply has not the one name asked');
    return item.name;
  },
};

export const STATVFS_REPLY: ReplyKind<FileSystemStatus> = {
  type: PACKET.EXTENDED_REPLY,
  decode(reader) {
    const status = {
      blockSizeBytes: reader.u64(),
      fragmentSizeBytes: reader.u64(),
      blocks: reader.u64(),
      freeBlocks: reader.u64(),
      availableBlocks: reader.u64(),
      inodes: reader.u64(),
      freeInodes: reader.u64(),
      availableInodes: reader.u64(),
      fileSystemId: reader.u64Exact(),
    };
    const flags = reader.u64();
    const maxNameBytes = reader.u64();
    return { ...status, readOnly: (flags & 1) !== 0, noSetuid: (flags & 2) !== 0, maxNameBytes };
  },
};

export const LIMITS_REPLY: ReplyKind<ServerLimits> = {
  type: PACKET.EXTENDED_REPLY,
  decode: (reader) => ({
    maxPacketBytes: reader.u64(),
    maxReadBytes: reader.u64(),
    maxWriteBytes: reader.u64(),
    maxOpenHandles: reader.u64(),
  }),
};

/** What a verb of the server's own answers; STATUS OK is an answer without a body. */
export const EXTENDED_REPLY: ReplyKind<Buffer> = {
  type: PACKET.EXTENDED_REPLY,
  decode(reader) {
    const bytes = reader.rest();
    // As for DATA: a view of a small part would keep a whole chunk alive.
    return bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes;
  },
  atOk: { value: Buffer.alloc(0) },
};

/** Two empty strings and the flags of empty attributes. */
const MIN_ITEM_BYTES = 12;

function readItems(reader: PacketReader): DirectoryItem[] {
  const count = reader.u32();
  if (count * MIN_ITEM_BYTES > reader.remainingBytes) {
    throw new MalformedPacket(`a reply claims ${count} names and has no room for them`);
  }
  reader.detach();
  const items: DirectoryItem[] = [];
  for (let index = 0; index < count; index++) {
    items.push({ name: reader.string(), longName: reader.string(), attributes: readAttributes(reader) });
  }
  return items;
}
