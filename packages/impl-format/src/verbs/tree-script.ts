import { FormatProblem } from '../errors.ts';
import { comparePaths } from '../path-order.ts';
import { packBody, unpackBody } from './packed-body.ts';
import { MAX_SCRIPT_BYTES } from './protocol.ts';
import { ScriptReader } from './script-reader.ts';
import { ScriptWriter } from './script-writer.ts';

const MAX_TARGET_BYTES = 4095;
const MAX_FOLDER_BYTES = 64;
/** A script that has grown to this should be taken: packed or not, it fits a packet. */
const FULL_BYTES = 128 * 1024;
const CODE = { KEEP_UNTIL: 1, KEEP_REST: 2, SKIP: 3, LINK: 4, DIRECTORY: 5, SYMLINK: 6 } as const;

/** What a run's folder holds, as a difference from its parent. */
export type TreeOperation =
  | { readonly kind: 'keep-until'; readonly path: Buffer }
  | { readonly kind: 'keep-rest' }
  | { readonly kind: 'skip'; readonly path: Buffer }
  | TreeLink
  | { readonly kind: 'directory'; readonly path: Buffer }
  | { readonly kind: 'symlink'; readonly path: Buffer; readonly target: Buffer };

export interface TreeLink {
  readonly kind: 'link';
  readonly path: Buffer;
  /** Name of a complete run, a token, or empty for the parent. */
  readonly folder: string;
  readonly from: Buffer;
}

/** A script that was read and checked as a whole; what it asks is read again with each iteration, an operation at a time. */
export interface TreeScript extends Iterable<TreeOperation> {
  readonly operationCount: number;
}

/**
 * Writes the bodies of `tree` requests. Every method returns the number of the operation in the script, from 0, by which
 * the outcome names it. Paths must be valid by `checkPath` and must not change until `take`.
 */
export class TreeScriptEncoder {
  readonly #out = new ScriptWriter(MAX_SCRIPT_BYTES);
  #count = 0;

  /** Before it is packed. */
  get sizeBytes(): number {
    return this.#out.length;
  }

  get opCount(): number {
    return this.#count;
  }

  /** Whether to `take` before the next operation. Beyond, up to 1 MiB, it still works, but a packet may become long. */
  get isFull(): boolean {
    return this.#out.length >= FULL_BYTES;
  }

  keepUntil(path: Buffer): number {
    return this.#path(CODE.KEEP_UNTIL, path);
  }

  keepRest(): number {
    this.#out.u8(CODE.KEEP_REST);
    return this.#count++;
  }

  skip(path: Buffer): number {
    return this.#path(CODE.SKIP, path);
  }

  /** @param folder - name of a complete run, a token, or empty for the parent */
  link(path: Buffer, folder: string, from: Buffer): number {
    this.#out.u8(CODE.LINK);
    this.#out.field('path', path);
    this.#out.field('folder', Buffer.from(folder, 'latin1'));
    this.#out.field('from', from);
    return this.#count++;
  }

  directory(path: Buffer): number {
    return this.#path(CODE.DIRECTORY, path);
  }

  symlink(path: Buffer, target: Buffer): number {
    this.#out.u8(CODE.SYMLINK);
    this.#out.field('path', path);
    this.#out.field('target', target);
    return this.#count++;
  }

  /** The body of one request, compressed where that helps; the next script begins. */
  take(): Buffer {
    this.#count = 0;
    return packBody(this.#out.take());
  }

  #path(code: number, path: Buffer): number {
    this.#out.u8(code);
    this.#out.field('path', path);
    return this.#count++;
  }
}

/**
 * Reads and checks all of a script before any of it is done. Memory: its 1 MiB, and one operation while it is iterated.
 * @throws FormatProblem MALFORMED, or HOSTILE for a path that leaves its place
 */
export function decodeTreeScript(body: Buffer): TreeScript {
  const script = unpackBody(body);
  let operationCount = 0;
  let passed: Buffer | undefined;
  for (const operation of operations(script)) {
    operationCount++;
    if (operation.kind !== 'keep-until' && operation.kind !== 'skip') continue;
    if (passed !== undefined && comparePaths(operation.path, passed) < 0) {
      throw new FormatProblem('MALFORMED', 'what is kept and skipped goes back');
    }
    passed = operation.path;
  }
  return { operationCount, [Symbol.iterator]: () => operations(script) };
}

function* operations(script: Buffer): Generator<TreeOperation> {
  const reader = new ScriptReader(script);
  while (!reader.isAtEnd) yield readOperation(reader);
}

function readOperation(reader: ScriptReader): TreeOperation {
  const code = reader.u8();
  switch (code) {
    case CODE.KEEP_UNTIL:
      return { kind: 'keep-until', path: reader.path('path') };
    case CODE.KEEP_REST:
      return { kind: 'keep-rest' };
    case CODE.SKIP:
      return { kind: 'skip', path: reader.path('path') };
    case CODE.LINK:
      return {
        kind: 'link',
        path: reader.path('path'),
        folder: readFolder(reader),
        from: reader.path('from'),
      };
    case CODE.DIRECTORY:
      return { kind: 'directory', path: reader.path('path') };
    case CODE.SYMLINK:
      return { kind: 'symlink', path: reader.path('path'), target: readTarget(reader) };
    default:
      throw new FormatProblem('MALFORMED', `operation ${code} is unknown`);
  }
}

/** Who looks it up decides whether there is such a folder; here it is only kept from being anything but a name. */
function readFolder(reader: ScriptReader): string {
  const folder = reader.text('folder');
  if (folder.length > MAX_FOLDER_BYTES)
    throw new FormatProblem('MALFORMED', 'the name of a folder is too long');
  const text = folder.toString('latin1');
  if (!/^[0-9a-z_]*$/.test(text))
    throw new FormatProblem('HOSTILE', 'the name of a folder is neither run nor token');
  return text;
}

function readTarget(reader: ScriptReader): Buffer {
  const target = reader.text('target');
  if (target.length === 0) throw new FormatProblem('MALFORMED', 'the target of a symlink is empty');
  if (target.length > MAX_TARGET_BYTES)
    throw new FormatProblem('MALFORMED', 'the target of a symlink is too long');
  return target;
}
