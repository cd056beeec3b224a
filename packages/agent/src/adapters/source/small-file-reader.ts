import { hash } from 'node:crypto';
import { extname } from 'node:path';
import type { Entry } from '@bakker/impl-format';
import { JobThread } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import type { HashedFile, SmallFileReader, WholeFile } from '../../ports/source-tree.ts';
import { stages } from '../../timings/stages.ts';
import type { ContentPool } from './content-pool.ts';
import { ABOUT, DIGEST_BYTES, type ReadAnswer, type ReadOrder } from './read-thread.ts';
import { changedJustNow } from './source-file.ts';
import { SharedMemory } from '../shared-memory.ts';
import { TurnBatch } from '../turn-batch.ts';

/** Contents that go to the thread together; a file that is longer goes alone. */
const BATCH_BYTES = 256 * 1024;
const BATCH_FILES = 128;

export interface ReaderOptions {
  /** What entries are relative to, held open by others. */
  readonly root: FolderHandle;
  /** For a file that is not as the scan saw it, and for one that can't be read. */
  readonly readAnew: (entry: Entry) => WholeFile;
  /** What `readAnew` takes memory from. */
  readonly pool: ContentPool;
}

interface Asked {
  readonly entry: Entry;
  readonly answered: PromiseWithResolvers<HashedFile>;
}

interface Batch {
  readonly files: readonly Asked[];
  readonly memory: SharedArrayBuffer;
  /** Of files that changed so shortly before that their times tell nothing. */
  readonly isRacy: readonly boolean[];
}

/**
 * Reads small files on another thread. What is asked for in one turn of the event loop goes there together, for a message for
 * each file would cost more than reading most of them. Memory: that of the files whose content was not given back.
 */
export class ThreadReader implements SmallFileReader {
  readonly #options: ReaderOptions;
  readonly #asked: TurnBatch<Asked>;
  readonly #shared = new SharedMemory(BATCH_BYTES);
  readonly #thread: JobThread<ReadOrder, ReadAnswer>;

  constructor(options: ReaderOptions) {
    this.#options = options;
    const limits = { bytes: BATCH_BYTES, items: BATCH_FILES };
    this.#asked = new TurnBatch(limits, (files, bytes) =>
      stages.doing('read', () => this.#send(files, bytes)),
    );
    this.#thread = new JobThread({
      program: new URL(`./read-thread${extname(import.meta.url)}`, import.meta.url),
      workerData: { rootFd: options.root.fd },
      youngMebibytes: 2,
      does: 'reads files',
    });
  }

  read(entry: Entry): Promise<HashedFile> {
    const answered = Promise.withResolvers<HashedFile>();
    this.#asked.add({ entry, answered }, entry.sizeBytes);
    return answered.promise;
  }

  recycle(content: Buffer): void {
    if (!this.#shared.release(content)) this.#options.pool.give(content);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }

  #send(files: readonly Asked[], bytes: number): void {
    const memory = this.#shared.take(bytes);
    const order: ReadOrder = { memory, ...this.#describe(files) };
    const batch: Batch = { files, memory, isRacy: files.map(({ entry }) => changedJustNow(entry)) };
    this.#thread.ask(order).then(
      (answer) => stages.doing('read', () => this.#answer(batch, answer)),
      (error: unknown) => {
        for (const { answered } of files) answered.reject(error);
      },
    );
  }

  #describe(files: readonly Asked[]): Pick<ReadOrder, 'paths' | 'about'> {
    const about = new BigInt64Array(files.length * ABOUT.COUNT);
    const paths = new Uint8Array(files.reduce((sum, { entry }) => sum + entry.path.length, 0));
    let pathEnd = 0;
    files.forEach(({ entry }, index) => {
      paths.set(entry.path, pathEnd);
      pathEnd += entry.path.length;
      const at = index * ABOUT.COUNT;
      about[at + ABOUT.PATH_END] = BigInt(pathEnd);
      about[at + ABOUT.SIZE] = BigInt(entry.sizeBytes);
      about[at + ABOUT.MTIME] = entry.mtimeNs;
      about[at + ABOUT.CTIME] = entry.ctimeNs;
      about[at + ABOUT.INODE] = BigInt.asIntN(64, entry.inode);
    });
    return { paths, about };
  }

  #answer({ files, memory, isRacy }: Batch, { sha256, isAsSeen }: ReadAnswer): void {
    this.#shared.lend(
      memory,
      isAsSeen.reduce((sum, one) => sum + one, 0),
    );
    let contentStart = 0;
    files.forEach(({ entry, answered }, index) => {
      const content = Buffer.from(memory, contentStart, entry.sizeBytes);
      contentStart += entry.sizeBytes;
      if (isAsSeen[index] !== 1) {
        this.#readAnew(entry, answered);
        return;
      }
      const digest = Buffer.from(sha256.buffer, sha256.byteOffset + index * DIGEST_BYTES, DIGEST_BYTES);
      const read = isRacy[index] ? { ...entry, unsettled: true } : entry;
      answered.resolve({ entry: read, content, sha256: digest, isChanging: false });
    });
  }

  #readAnew(entry: Entry, { resolve, reject }: Asked['answered']): void {
    try {
      const whole = this.#options.readAnew(entry);
      resolve({ ...whole, sha256: hash('sha256', whole.content, 'buffer') });
    } catch (error) {
      reject(error);
    }
  }
}
