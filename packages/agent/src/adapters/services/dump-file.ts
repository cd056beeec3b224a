import fs from 'node:fs';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { AgentError } from '../../errors.ts';
import { start } from './child.ts';
import type { ChildOptions } from './child.ts';

/** As much of a dump's end as its closing line may be in. */
const TAIL_BYTES = 1_024;
/** After the closing line: the rest of its comment, and what newer versions of pg_dump add. */
const MAY_FOLLOW = /^(--|\\unrestrict \S+)?$/;

export interface ProgramDump {
  /** The program that writes the dump to its standard output. */
  readonly child: Omit<ChildOptions, 'signal' | 'isPiped'>;
  readonly file: string;
  /** What the program writes last, and only when it has written all. */
  readonly closingLine: RegExp;
  readonly signal: AbortSignal;
}

/**
 * Writes what a program prints to a compressed file, under its name only once it is whole: the program ended well, its
 * closing line came, everything is on the disk.
 *
 * @throws AgentError QUIESCE_FAILED; there is no file of that name then
 */
export async function dumpProgram({ child: options, file, closingLine, signal }: ProgramDump): Promise<void> {
  await replaceDump(file, async (part) => {
    const child = await start({ ...options, signal, isPiped: true });
    child.stdin?.end();
    if (child.stdout === null) throw new Error('a piped child has a standard output');
    const end = new EndKeeper();
    const zstd = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    const sink = fs.createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true });
    const [written, ended] = await Promise.allSettled([
      pipeline(child.stdout, end, zstd, sink).catch((error: unknown) => {
        child.kill();
        throw error;
      }),
      child.ended,
    ]);
    // a full disk kills the program: its own failure is the less telling one
    if (written.status === 'rejected') throw written.reason;
    if (ended.status === 'rejected') throw ended.reason;
    const why = end.whyNotWhole(closingLine);
    if (why !== undefined) throw new AgentError('QUIESCE_FAILED', `${options.argv[0]}: the dump ${why}`);
  });
}

/**
 * Makes a dump file beside its place, and puts it there once it is whole and on the disk.
 *
 * @param write - makes the file that it is given
 */
export async function replaceDump(file: string, write: (part: string) => Promise<void>): Promise<void> {
  const folder = path.dirname(file);
  const part = `${file}.part`;
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    // what an earlier run made must not pass for this one's
    for (const old of [part, file]) fs.rmSync(old, { force: true, recursive: true });
    await write(part);
    syncPath(part);
    fs.renameSync(part, file);
    syncPath(folder);
  } catch (cause) {
    fs.rmSync(part, { force: true, recursive: true });
    if (cause instanceof AgentError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('QUIESCE_FAILED', `the dump ${file} could not be written: ${why}`, { cause });
  }
}

/** Removes what no configured service makes any more, so that it is not backed up for ever. */
export function sweepDumps(folder: string, names: readonly string[]): void {
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    if (!names.includes(name)) fs.rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

export function syncPath(file: string): void {
  const descriptor = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Lets everything through and remembers the end. */
class EndKeeper extends Transform {
  #tail: Buffer = Buffer.alloc(0);

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error: null, chunk: Buffer) => void,
  ): void {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
    done(null, chunk);
  }

  /** Undefined if the closing line is there and nothing of weight comes after it. */
  whyNotWhole(closingLine: RegExp): string | undefined {
    if (this.#tail.length === 0) return 'is empty';
    const lines = this.#tail.toString('latin1').split('\n');
    const last = lines.findLastIndex((line) => !MAY_FOLLOW.test(line));
    return closingLine.test(lines[last] ?? '') ? undefined : 'is cut short: its closing line is missing';
  }
}
