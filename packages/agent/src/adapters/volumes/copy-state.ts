import { createReadStream, createWriteStream, openSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Entry } from '@bakker/impl-format';
import { hasCode } from '@bakker/linux';

/** What a file of a copy was made of. It is the same while both are as they were. */
export interface CopyRow {
  /** Below the file system's mount point. */
  readonly path: Buffer;
  readonly inode: bigint;
  readonly ctimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly sizeBytes: number;
  /** Of the copy. */
  readonly copyInode: bigint;
}

/** Whether the live file and its copy are those of which the row speaks. */
export function isCurrent(row: CopyRow, live: Entry, copy: Entry): boolean {
  return (
    row.inode === live.inode &&
    row.ctimeNs === live.ctimeNs &&
    row.mtimeNs === live.mtimeNs &&
    row.sizeBytes === live.sizeBytes &&
    copy.type === 'file' &&
    copy.inode === row.copyInode &&
    copy.sizeBytes === live.sizeBytes &&
    copy.mtimeNs === live.mtimeNs
  );
}

/** The rows in path order, in batches; none if there is no file. A line that is cut short ends them. */
export async function* readRows(file: Buffer): AsyncGenerator<CopyRow[]> {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  const lines = createInterface({ input: createReadStream('', { fd, encoding: 'latin1' }) });
  let batch: CopyRow[] = [];
  for await (const line of lines) {
    const row = parseRow(line);
    if (row === undefined) break;
    batch.push(row);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

/** Writes rows in the order in which they come. */
export class RowWriter {
  readonly #stream: WriteStream;
  #text = '';

  constructor(file: Buffer) {
    this.#stream = createWriteStream('', { fd: openSync(file, 'w', 0o600), encoding: 'latin1' });
  }

  async write({ path, inode, ctimeNs, mtimeNs, sizeBytes, copyInode }: CopyRow): Promise<void> {
    this.#text += `${inode} ${ctimeNs} ${mtimeNs} ${sizeBytes} ${copyInode} ${JSON.stringify(path.toString('latin1'))}\n`;
    if (this.#text.length >= WRITE_CHARACTERS) await this.#flush();
  }

  async end(): Promise<void> {
    await this.#flush();
    this.#stream.end();
    await once(this.#stream, 'close');
  }

  /** Gives the file up. */
  discard(): void {
    this.#stream.destroy();
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    if (text !== '' && !this.#stream.write(text)) await once(this.#stream, 'drain');
  }
}

const BATCH = 1024;
const WRITE_CHARACTERS = 65_536;
const ROW = /^(\d+) (-?\d+) (-?\d+) (\d+) (\d+) (".*")$/;

function parseRow(line: string): CopyRow | undefined {
  const [, inode, ctimeNs, mtimeNs, sizeBytes, copyInode, quoted] = ROW.exec(line) ?? [];
  if (!inode || !ctimeNs || !mtimeNs || !sizeBytes || !copyInode || !quoted) return undefined;
  let path: unknown;
  try {
    path = JSON.parse(quoted);
  } catch {
    return undefined;
  }
  if (typeof path !== 'string') return undefined;
  return {
    path: Buffer.from(path, 'latin1'),
    inode: BigInt(inode),
    ctimeNs: BigInt(ctimeNs),
    mtimeNs: BigInt(mtimeNs),
    sizeBytes: Number(sizeBytes),
    copyInode: BigInt(copyInode),
  };
}
