/** A new small file, all of whose attributes are plain: what the writing thread can make. */
export interface WriteOrder {
  /** Descriptor of the folder; it stays open until the file is done. */
  readonly folderFd: number;
  readonly name: Buffer;
  readonly bytes: Buffer;
  /** Of the bytes, if that was not looked at yet: nothing is made of others. */
  readonly sha256: Buffer | undefined;
  /** What the file is made with. */
  readonly firstMode: number;
  /** Undefined where the one that it is made with is right. */
  readonly mode: number | undefined;
  /** Undefined where the one that it gets is right. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** Two `struct timespec`. */
  readonly times: Buffer;
}

/** Bytes that an order takes in a batch. */
export function orderBytes({ name, bytes }: Pick<WriteOrder, 'name' | 'bytes'>): number {
  return HEAD_BYTES + name.length + bytes.length;
}

/** Copies an order into a batch. @returns where the next one starts */
export function encodeOrder(batch: Buffer, start: number, order: WriteOrder): number {
  const { folderFd, name, bytes, sha256, firstMode, mode, owner, times } = order;
  batch.writeUInt32LE(folderFd, start);
  batch.writeUInt32LE(firstMode, start + 4);
  batch.writeUInt32LE(mode ?? NONE, start + 8);
  batch.writeUInt32LE(owner?.uid ?? NONE, start + 12);
  batch.writeUInt32LE(owner?.gid ?? NONE, start + 16);
  batch.writeUInt32LE(name.length, start + 20);
  batch.writeUInt32LE(bytes.length, start + 24);
  batch.set(times, start + 28);
  batch[start + HAS_HASH] = sha256 === undefined ? 0 : 1;
  if (sha256 !== undefined) batch.set(sha256, start + HASH);
  batch.set(name, start + HEAD_BYTES);
  batch.set(bytes, start + HEAD_BYTES + name.length);
  return start + HEAD_BYTES + name.length + bytes.length;
}

/** The order at `start`; its Buffers are views of the batch. */
export function decodeOrder(batch: Buffer, start: number): WriteOrder {
  const mode = batch.readUInt32LE(start + 8);
  const uid = batch.readUInt32LE(start + 12);
  const nameStart = start + HEAD_BYTES;
  const bytesStart = nameStart + batch.readUInt32LE(start + 20);
  return {
    folderFd: batch.readUInt32LE(start),
    name: batch.subarray(nameStart, bytesStart),
    bytes: batch.subarray(bytesStart, bytesStart + batch.readUInt32LE(start + 24)),
    sha256: batch[start + HAS_HASH] === 1 ? batch.subarray(start + HASH, nameStart) : undefined,
    firstMode: batch.readUInt32LE(start + 4),
    mode: mode === NONE ? undefined : mode,
    owner: uid === NONE ? undefined : { uid, gid: batch.readUInt32LE(start + 16) },
    times: batch.subarray(start + 28, start + HAS_HASH),
  };
}

const TIMES_BYTES = 32;
const HAS_HASH = 28 + TIMES_BYTES;
const HASH = HAS_HASH + 1;
const HEAD_BYTES = HASH + 32;
/** No mode; and no id, because Linux keeps this one for "unchanged". */
const NONE = 0xffff_ffff;
