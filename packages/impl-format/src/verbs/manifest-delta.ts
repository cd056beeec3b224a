import { FormatProblem } from '../errors.ts';
import { comparePaths } from '../path-order.ts';
import { packBody, unpackBody } from './packed-body.ts';
import { MAX_MANIFEST_RESTARTS, MAX_SCRIPT_BYTES } from './protocol.ts';
import { ScriptReader } from './script-reader.ts';
import { ScriptWriter } from './script-writer.ts';

const MAX_UINT32 = 0xffff_ffff;
/** A piece that has grown to this should be taken: packed or not, it fits a packet. */
const FULL_BYTES = 128 * 1024;
const CODE = { LINES: 1, KEEP: 2, DROP: 3, MOVED: 4 } as const;

/** A piece of a manifest's text, as a difference from the parent's. */
export type ManifestDeltaOperation =
  /** Text: whole lines, but that a long line may go on in the next operation. */
  | { readonly kind: 'lines'; readonly bytes: Buffer }
  | { readonly kind: 'keep' | 'drop'; readonly count: number }
  /** The parent's line of `from`, with `path` in its place. */
  | { readonly kind: 'moved'; readonly path: Buffer; readonly from: Buffer };

/** Writes the contents of `manifest` requests of kind 2. Neighbours of one kind become one operation. */
export class ManifestDeltaEncoder {
  readonly #out = new ScriptWriter(MAX_SCRIPT_BYTES);
  #pending: { code: number; count: number } | undefined;
  #lastFrom: Buffer | undefined;
  #restarts = 0;

  /** Before it is packed. */
  get sizeBytes(): number {
    return this.#out.length;
  }

  /** Whether to `take` before the next operation. Beyond, up to 1 MiB, it still works, but a packet may become long. */
  get isFull(): boolean {
    return this.#out.length >= FULL_BYTES;
  }

  /** Text of the manifest, each line with its newline; best at most 64 KiB a call. A longer line may be cut into several calls. */
  lines(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#flush();
    this.#out.u8(CODE.LINES);
    this.#out.u32(bytes.length);
    this.#out.bytes(bytes);
  }

  /** The parent's next `count` lines. */
  keep(count: number): void {
    this.#add(CODE.KEEP, count);
  }

  /** The parent's next `count` lines are not in this manifest. Header and trailer are not counted. */
  drop(count: number): void {
    this.#add(CODE.DROP, count);
  }

  /**
   * The parent's line of `from`, but for its path. Quick where `from` rises from call to call.
   *
   * @returns false, with nothing written, if `from` went back too often for the storage: send the line itself
   */
  moved(path: Buffer, from: Buffer): boolean {
    const goesBack = this.#lastFrom !== undefined && comparePaths(from, this.#lastFrom) <= 0;
    if (goesBack && this.#restarts === MAX_MANIFEST_RESTARTS) return false;
    if (goesBack) this.#restarts++;
    this.#lastFrom = from;
    this.#flush();
    this.#out.u8(CODE.MOVED);
    this.#out.field('path', path);
    this.#out.field('from', from);
    return true;
  }

  /** The content of one piece; the next begins. */
  take(): Buffer {
    this.#flush();
    return packBody(this.#out.take());
  }

  #add(code: number, count: number): void {
    if (count === 0) return;
    if (this.#pending?.code !== code) this.#flush();
    const total = (this.#pending?.count ?? 0) + count;
    if (!(count > 0 && total <= MAX_UINT32)) throw new RangeError(`${count} lines can't be counted`);
    this.#pending = { code, count: total };
  }

  #flush(): void {
    if (this.#pending === undefined) return;
    this.#out.u8(this.#pending.code);
    this.#out.u32(this.#pending.count);
    this.#pending = undefined;
  }
}

/**
 * Reads and checks all of a piece before any of it is used.
 * @returns its operations, read again with each iteration; `lines` share the bytes of the piece
 * @throws FormatProblem MALFORMED, or HOSTILE for a path that leaves its place
 */
export function decodeManifestDelta(content: Buffer): Iterable<ManifestDeltaOperation> {
  const script = unpackBody(content);
  for (const _ of operations(script));
  return { [Symbol.iterator]: () => operations(script) };
}

function* operations(script: Buffer): Generator<ManifestDeltaOperation> {
  const reader = new ScriptReader(script);
  while (!reader.isAtEnd) yield readOperation(reader);
}

function readOperation(reader: ScriptReader): ManifestDeltaOperation {
  const code = reader.u8();
  switch (code) {
    case CODE.LINES:
      return { kind: 'lines', bytes: reader.bytes(reader.u32()) };
    case CODE.KEEP:
      return { kind: 'keep', count: reader.u32() };
    case CODE.DROP:
      return { kind: 'drop', count: reader.u32() };
    case CODE.MOVED:
      return { kind: 'moved', path: reader.path('path'), from: reader.path('from') };
    default:
      throw new FormatProblem('MALFORMED', `operation ${code} is unknown`);
  }
}
