/** A `string` of the protocol: its length, then its bytes. */
export function stringField(bytes: Buffer): Buffer {
  const field = Buffer.allocUnsafe(LENGTH_BYTES + bytes.length);
  bytes.copy(field, field.writeUInt32BE(bytes.length));
  return field;
}

/** The bytes of a body that is one `string`; undefined if it is not. */
export function stringIn(body: Buffer): Buffer | undefined {
  if (body.length < LENGTH_BYTES || body.readUInt32BE() !== body.length - LENGTH_BYTES) return undefined;
  return body.subarray(LENGTH_BYTES);
}

/** A file of a `put`: what its head says, and what follows behind all heads. */
export interface PutFile {
  readonly path: Buffer;
  readonly mtimeNs: bigint;
  readonly flags: number;
  readonly content: Buffer;
}

/** Bytes that a file takes in the body of `put` beside its content. */
export function putHeadBytes(path: Buffer): number {
  return LENGTH_BYTES + path.length + 8 + 1 + LENGTH_BYTES;
}

/** The body of `put`, up to the contents. */
export function putHeads(files: readonly PutFile[]): Buffer {
  const body = Buffer.allocUnsafe(files.reduce((sum, { path }) => sum + putHeadBytes(path), LENGTH_BYTES));
  let at = body.writeUInt32BE(files.length);
  for (const { path, mtimeNs, flags, content } of files) {
    at = body.writeUInt32BE(path.length, at);
    at += path.copy(body, at);
    at = body.writeBigInt64BE(clampTime(mtimeNs), at);
    at = body.writeUInt8(flags, at);
    at = body.writeUInt32BE(content.length, at);
  }
  return body;
}

/** The body of `create`. */
export function createBody(path: Buffer, about: { flags: number; expectedBytes: number }): Buffer {
  const body = Buffer.allocUnsafe(LENGTH_BYTES + path.length + 1 + 8);
  let at = body.writeUInt32BE(path.length);
  at += path.copy(body, at);
  at = body.writeUInt8(about.flags, at);
  body.writeBigUInt64BE(BigInt(about.expectedBytes), at);
  return body;
}

/** The body of `clone-file`. */
export function cloneFileBody(source: Buffer, path: Buffer, mostBytes: number): Buffer {
  const most = Buffer.allocUnsafe(8);
  most.writeBigUInt64BE(BigInt(mostBytes));
  return Buffer.concat([stringField(source), stringField(path), most]);
}

/** The body of `hole`. */
export function holeBody(handle: Buffer, stretch: { offsetBytes: number; lengthBytes: number }): Buffer {
  const numbers = Buffer.allocUnsafe(16);
  numbers.writeBigUInt64BE(BigInt(stretch.offsetBytes));
  numbers.writeBigUInt64BE(BigInt(stretch.lengthBytes), 8);
  return Buffer.concat([stringField(handle), numbers]);
}

/** The body of `finish`. */
export function finishBody(
  handle: Buffer,
  about: { sizeBytes: number; mtimeNs: bigint; flags: number },
): Buffer {
  const body = Buffer.allocUnsafe(LENGTH_BYTES + handle.length + 8 + 8 + 1);
  let at = body.writeUInt32BE(handle.length);
  at += handle.copy(body, at);
  at = body.writeBigUInt64BE(BigInt(about.sizeBytes), at);
  at = body.writeBigInt64BE(clampTime(about.mtimeNs), at);
  body.writeUInt8(about.flags, at);
  return body;
}

/** The body of `get`. */
export function getBody(path: Buffer, mostBytes: number): Buffer {
  const body = Buffer.allocUnsafe(LENGTH_BYTES + path.length + 4);
  let at = body.writeUInt32BE(path.length);
  at += path.copy(body, at);
  body.writeUInt32BE(mostBytes, at);
  return body;
}

/** The body of `get-many`. */
export function getManyBody(files: readonly { path: Buffer; mostBytes: number }[]): Buffer {
  const bytes = files.reduce((sum, { path }) => sum + 2 * LENGTH_BYTES + path.length, 0);
  const body = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const { path, mostBytes } of files) {
    at = body.writeUInt32BE(path.length, at);
    at += path.copy(body, at);
    at = body.writeUInt32BE(mostBytes, at);
  }
  return body;
}

/** What `get-many` answered of one file: its content, or with another status than 0 a sentence. */
export interface GotFile {
  readonly status: number;
  readonly bytes: Buffer;
}

/** The answers in a reply to `get-many`; undefined if it is none. */
export function gotFiles(reply: Buffer): readonly GotFile[] | undefined {
  const got: GotFile[] = [];
  for (let at = 0; at < reply.length;) {
    if (reply.length - at < 2 * LENGTH_BYTES) return undefined;
    const status = reply.readUInt32BE(at);
    const start = at + 2 * LENGTH_BYTES;
    at = start + reply.readUInt32BE(at + LENGTH_BYTES);
    if (at > reply.length) return undefined;
    got.push({ status, bytes: reply.subarray(start, at) });
  }
  return got;
}

const LENGTH_BYTES = 4;
const MAX_I64 = 2n ** 63n - 1n;

/** The manifest keeps the true time. */
function clampTime(timeNs: bigint): bigint {
  if (timeNs > MAX_I64) return MAX_I64;
  return timeNs < -MAX_I64 ? -MAX_I64 : timeNs;
}
