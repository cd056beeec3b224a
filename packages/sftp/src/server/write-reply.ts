import type { Attributes } from '../attributes.ts';
import { attributesBytes, writeAttributes } from '../attributes.ts';
import { statusWords } from '../errors.ts';
import { MAX_HANDLE_BYTES } from '../handle.ts';
import type { PacketWriter } from '../packet-writer.ts';
import { PACKET, STATUS } from '../protocol.ts';
import type { FileSystemStatus, ServerLimits } from '../replies.ts';
import { longNameOf } from './long-name.ts';
import type { NamedItem, SftpReply } from './service.ts';

/**
 * Encodes a reply.
 *
 * @throws TypeError, RangeError for what cannot be sent; nothing was written then
 */
export function writeReply(writer: PacketWriter, id: number, reply: SftpReply): void {
  switch (reply.type) {
    case 'status':
      writeStatus(writer, id, reply.code, reply.message);
      return;
    case 'handle':
      writeHandle(writer, id, reply.handle);
      return;
    case 'data':
      writer.begin(PACKET.DATA, id, 4, reply.bytes.length);
      writer.payload(reply.bytes);
      return;
    case 'names':
      writeNames(writer, id, reply.items);
      return;
    case 'path':
      writeItems(writer, id, [{ name: reply.path, longName: reply.path, attributes: NO_ATTRIBUTES }]);
      return;
    case 'attributes':
      writer.begin(PACKET.ATTRS, id, attributesBytes(reply.attributes));
      writeAttributes(writer, reply.attributes);
      return;
    case 'statvfs':
      writeStatvfs(writer, id, reply.status);
      return;
    case 'limits':
      writeLimits(writer, id, reply.limits);
      return;
    case 'extended':
      writer.begin(PACKET.EXTENDED_REPLY, id, 0, reply.body.length);
      writer.tail(reply.body);
      return;
  }
}

/** A status; OK goes without words, as nobody reads them. */
export function writeStatus(writer: PacketWriter, id: number, code: number, message?: string): void {
  const words = messageBytes(code, message);
  writer.begin(PACKET.STATUS, id, 12 + words.length);
  writer.u32(code);
  writer.string(words);
  // The language of the words: not said.
  writer.u32(0);
}

/** The answer to INIT. */
export function writeVersion(
  writer: PacketWriter,
  version: number,
  extensions: readonly (readonly [string, string])[],
): void {
  const strings = extensions.flat().map((text) => Buffer.from(text, 'latin1'));
  const bodyBytes = strings.reduce((sum, { length }) => sum + 4 + length, 0);
  writer.begin(PACKET.VERSION, version, bodyBytes);
  for (const bytes of strings) writer.string(bytes);
}

const NO_ATTRIBUTES: Attributes = {};
const MAX_MESSAGE_BYTES = 4096;
const NOTHING = Buffer.alloc(0);
const WORDS: readonly Buffer[] = Array.from({ length: STATUS.OP_UNSUPPORTED + 1 }, (_, code) =>
  code === STATUS.OK ? NOTHING : Buffer.from(statusWords(code)),
);

function messageBytes(code: number, message: string | undefined): Buffer {
  if (message === undefined || message === '') return WORDS[code] ?? NOTHING;
  return Buffer.from(message).subarray(0, MAX_MESSAGE_BYTES);
}

function writeHandle(writer: PacketWriter, id: number, handle: Buffer): void {
  if (handle.length === 0 || handle.length > MAX_HANDLE_BYTES)
    throw new RangeError(`no handle has ${handle.length} bytes`);
  writer.begin(PACKET.HANDLE, id, 4 + handle.length);
  writer.string(handle);
}

function writeNames(writer: PacketWriter, id: number, items: readonly NamedItem[]): void {
  // A client takes no names for the end of the folder, or asks for ever.
  if (items.length === 0) throw new RangeError('a reply of no names; the end of a folder is a status');
  writeItems(
    writer,
    id,
    items.map((item) => ({ ...item, longName: item.longName ?? longNameOf(item) })),
  );
}

interface LongItem {
  readonly name: Buffer;
  readonly longName: Buffer;
  readonly attributes: Attributes;
}

function writeItems(writer: PacketWriter, id: number, items: readonly LongItem[]): void {
  let bodyBytes = 4;
  for (const { name, longName, attributes } of items)
    bodyBytes += 8 + name.length + longName.length + attributesBytes(attributes);
  writer.begin(PACKET.NAME, id, bodyBytes);
  writer.u32(items.length);
  for (const { name, longName, attributes } of items) {
    writer.string(name);
    writer.string(longName);
    writeAttributes(writer, attributes);
  }
}

function writeStatvfs(writer: PacketWriter, id: number, status: FileSystemStatus): void {
  writer.begin(PACKET.EXTENDED_REPLY, id, 11 * 8);
  writer.u64(status.blockSizeBytes);
  writer.u64(status.fragmentSizeBytes);
  writer.u64(status.blocks);
  writer.u64(status.freeBlocks);
  writer.u64(status.availableBlocks);
  writer.u64(status.inodes);
  writer.u64(status.freeInodes);
  writer.u64(status.availableInodes);
  writer.u64Exact(status.fileSystemId);
  writer.u64((status.readOnly ? 1 : 0) | (status.noSetuid ? 2 : 0));
  writer.u64(status.maxNameBytes);
}

function writeLimits(writer: PacketWriter, id: number, limits: ServerLimits): void {
  writer.begin(PACKET.EXTENDED_REPLY, id, 4 * 8);
  writer.u64(limits.maxPacketBytes);
  writer.u64(limits.maxReadBytes);
  writer.u64(limits.maxWriteBytes);
  writer.u64(limits.maxOpenHandles);
}
