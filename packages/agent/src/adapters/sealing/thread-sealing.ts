import { hash } from 'node:crypto';
import { extname } from 'node:path';
import { SmallSealer, type RunKey } from '@bakker/impl-format/sealed';
import { JobThread } from '@bakker/linux';
import type { SealedContent, SmallSealing } from '../../ports/sealing-threads.ts';
import { stages } from '../../timings/stages.ts';
import { SharedMemory } from '../shared-memory.ts';
import { TurnBatch } from '../turn-batch.ts';
import { DIGEST_BYTES, type SealAnswer, type SealOrder, type SealThreadData } from './seal-thread.ts';

/** Contents that go to the thread together; one that is longer goes alone. */
const BATCH_BYTES = 256 * 1024;
const BATCH_CONTENTS = 128;
/** So many are sealed here: a thread takes longer to start. */
const SEALED_HERE = 64;

interface Asked {
  readonly content: Buffer;
  readonly answered: PromiseWithResolvers<SealedContent>;
}

/**
 * Seals on another thread what lies in shared memory. What is asked for in one turn of the event loop goes there together, for
 * a message for each would cost as much as sealing it.
 */
export class ThreadSealing implements SmallSealing {
  readonly #sealer: SmallSealer;
  readonly #isHashed: boolean;
  readonly #thread: JobThread<SealOrder, SealAnswer>;
  readonly #shared = new SharedMemory(BATCH_BYTES);
  #sealedHere = 0;
  readonly #asked = new TurnBatch<Asked>({ bytes: BATCH_BYTES, items: BATCH_CONTENTS }, (asked, mostBytes) =>
    this.#send(asked, mostBytes),
  );
  /** Of all that was asked for and not sent. */
  #clear = new SharedArrayBuffer(0);

  constructor(runKey: RunKey, { isHashed }: { isHashed: boolean }) {
    this.#sealer = new SmallSealer(runKey);
    this.#isHashed = isHashed;
    const data: SealThreadData = { runKey, isHashed };
    this.#thread = new JobThread({
      program: new URL(`./seal-thread${extname(import.meta.url)}`, import.meta.url),
      workerData: data,
      youngMebibytes: 2,
      does: 'seals files',
    });
  }

  seal(content: Buffer): Promise<SealedContent> {
    const clear = content.buffer;
    if (!(clear instanceof SharedArrayBuffer) || this.#sealedHere < SEALED_HERE) {
      this.#sealedHere++;
      return Promise.resolve(stages.doing('seal', () => this.#sealHere(content)));
    }
    if (clear !== this.#clear) this.#asked.flush();
    this.#clear = clear;
    const answered = Promise.withResolvers<SealedContent>();
    this.#asked.add({ content, answered }, this.#sealer.mostBytes(content.length));
    return answered.promise;
  }

  recycle(bytes: Buffer): void {
    this.#shared.release(bytes);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }

  #sealHere(content: Buffer): SealedContent {
    const bytes = this.#sealer.seal(content, true);
    return this.#isHashed ? { bytes, sha256: hash('sha256', bytes, 'buffer') } : { bytes };
  }

  #send(asked: readonly Asked[], mostBytes: number): void {
    const clear = this.#clear;
    const sealed = this.#shared.take(mostBytes);
    const contents = new Uint32Array(asked.length * 2);
    asked.forEach(({ content }, index) => {
      contents[2 * index] = content.byteOffset;
      contents[2 * index + 1] = content.length;
    });
    this.#thread.ask({ clear, contents, sealed }).then(
      (answer) => this.#answer(asked, sealed, answer),
      (error: unknown) => {
        for (const { answered } of asked) answered.reject(error);
      },
    );
  }

  #answer(asked: readonly Asked[], sealed: SharedArrayBuffer, { ends, sha256 }: SealAnswer): void {
    this.#shared.lend(sealed, asked.length);
    let start = 0;
    asked.forEach(({ answered }, index) => {
      const end = ends[index] ?? start;
      const bytes = Buffer.from(sealed, start, end - start);
      start = end;
      const digestAt = index * DIGEST_BYTES;
      const digest = Buffer.from(sha256.subarray(digestAt, digestAt + DIGEST_BYTES));
      answered.resolve(this.#isHashed ? { bytes, sha256: digest } : { bytes });
    });
  }
}
