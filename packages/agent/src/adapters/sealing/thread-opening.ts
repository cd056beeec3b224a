import { extname } from 'node:path';
import type { Keyring } from '@bakker/impl-format/sealed';
import { JobThread } from '@bakker/linux';
import { READ_FILES } from '../../ports/storage-account.ts';
import type { SmallOpening, StoredContent } from '../../ports/sealing-threads.ts';
import { SharedMemory } from '../shared-memory.ts';
import type { OpenAnswer, OpenOrder, OpenThreadData } from './open-thread.ts';

/** What is read together, and what lies around each of the contents. */
const BATCH_BYTES = READ_FILES.bytes + READ_FILES.count * 2048;

/** Opens on another thread. */
export class ThreadOpening implements SmallOpening {
  readonly #shared = new SharedMemory(BATCH_BYTES);
  readonly #thread: JobThread<OpenOrder, OpenAnswer>;

  constructor({ privateKeys }: Keyring) {
    const data: OpenThreadData = { privateKeys };
    this.#thread = new JobThread({
      program: new URL(`./open-thread${extname(import.meta.url)}`, import.meta.url),
      workerData: data,
      youngMebibytes: 2,
      does: 'opens files',
    });
  }

  async open(contents: readonly StoredContent[]): Promise<readonly (Buffer | undefined)[]> {
    const stored = this.#shared.take(sum(contents.map((content) => content.stored.length)));
    const clearBytes = sum(contents.map(({ sizeBytes }) => sizeBytes));
    const clear = this.#shared.take(clearBytes);
    const numbers = new Uint32Array(contents.length * 2);
    const into = Buffer.from(stored);
    let at = 0;
    contents.forEach((content, index) => {
      numbers[2 * index] = content.stored.length;
      numbers[2 * index + 1] = content.sizeBytes;
      at += content.stored.copy(into, at);
    });
    const isOpened = await this.#thread.ask({ stored, contents: numbers, clear });
    // Copied once, as nobody says when the contents were used.
    const all = Buffer.allocUnsafeSlow(clearBytes);
    Buffer.from(clear).copy(all);
    this.#shared.give(stored);
    this.#shared.give(clear);
    let start = 0;
    return contents.map(({ sizeBytes }, index) => {
      const content = all.subarray(start, start + sizeBytes);
      start += sizeBytes;
      return isOpened[index] === 1 ? content : undefined;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
