import type { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/** What version 3 knows of a file. Owner and group only go together, and so do the two times. */
export interface Attributes {
  readonly sizeBytes?: number | undefined;
  /** `st_mode`; replies carry the type bits too, requests take 0 to 0o7777. */
  readonly permissions?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Unix seconds, unsigned 32 bits: what lies before 1970 or after 2106 is sent as the nearest that fits. */
  readonly atimeS?: number | undefined;
  readonly mtimeS?: number | undefined;
}

/**
 * Length of the encoded attributes.
 *
 * @throws TypeError for an owner without a group or one time without the other, RangeError for a size that is no size
 */
export function attributesBytes(attributes: Attributes): number {
  const { sizeBytes, permissions, uid, gid, atimeS, mtimeS } = attributes;
  let bytes = 4;
  if (sizeBytes !== undefined) bytes += 8;
  if (permissions !== undefined) bytes += 4;
  if (uid !== undefined) bytes += 8;
  if (mtimeS !== undefined) bytes += 8;
  if ((uid === undefined) !== (gid === undefined)) throw new TypeError('uid and gid only go together');
  if ((atimeS === undefined) !== (mtimeS === undefined))
    throw new TypeError('atimeS and mtimeS only go together');
  if (sizeBytes !== undefined && !(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)) {
    throw new RangeError(`no size: ${String(sizeBytes)}`);
  }
  return bytes;
}

/** Writes what `attributesBytes` measured. */
export function writeAttributes(writer: PacketWriter, attributes: Attributes): void {
  const { sizeBytes, permissions, uid, gid, atimeS, mtimeS } = attributes;
  writer.u32(
    (sizeBytes === undefined ? 0 : HAS_SIZE) |
      (uid === undefined ? 0 : HAS_OWNER) |
      (permissions === undefined ? 0 : HAS_PERMISSIONS) |
      (mtimeS === undefined ? 0 : HAS_TIMES),
  );
  if (sizeBytes !== undefined) writer.u64(sizeBytes);
  if (uid !== undefined && gid !== undefined) {
    writer.u32(uid);
    writer.u32(gid);
  }
  if (permissions !== undefined) writer.u32(permissions);
  if (atimeS !== undefined && mtimeS !== undefined) {
    writer.u32(clampSeconds(atimeS));
    writer.u32(clampSeconds(mtimeS));
  }
}

/** Reads attributes; extended ones are skipped. @throws MalformedPacket if they do not fit their packet */
export function readAttributes(reader: PacketReader): Attributes {
  const flags = reader.u32();
  const sizeBytes = flags & HAS_SIZE ? reader.u64() : undefined;
  const uid = flags & HAS_OWNER ? reader.u32() : undefined;
  const gid = flags & HAS_OWNER ? reader.u32() : undefined;
  const permissions = flags & HAS_PERMISSIONS ? reader.u32() : undefined;
  const atimeS = flags & HAS_TIMES ? reader.u32() : undefined;
  const mtimeS = flags & HAS_TIMES ? reader.u32() : undefined;
  if (flags & HAS_EXTENDED) {
    // Each pair takes at least eight bytes, so a false count soon runs into the packet's end.
    for (let left = reader.u32(); left > 0; left--) {
      reader.string();
      reader.string();
    }
  }
  return { sizeBytes, permissions, uid, gid, atimeS, mtimeS };
}

const HAS_SIZE = 0x01;
const HAS_OWNER = 0x02;
const HAS_PERMISSIONS = 0x04;
const HAS_TIMES = 0x08;
const HAS_EXTENDED = 0x8000_0000;

/** The nearest time that version 3 can say. */
export function clampSeconds(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), 0xffff_ffff);
}
