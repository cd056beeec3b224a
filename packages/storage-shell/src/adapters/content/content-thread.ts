import { JobThread, LibcError } from '@bakker/linux';
import { extname } from 'node:path';
import type { ContentAnswer, ContentFailure, ContentTask } from './content-job.ts';

/** A thread that copies, hashes and stores content, one task after the other. */
export class ContentThread implements AsyncDisposable {
  readonly #thread = new JobThread<ContentTask, ContentAnswer>({
    program: new URL(`./content-program${extname(import.meta.url)}`, import.meta.url),
    youngMebibytes: 4,
    does: 'copies content',
  });

  /** @throws LibcError, errno errors */
  async count(task: ContentTask): Promise<number> {
    const value = await this.#do(task);
    if (typeof value !== 'number') throw new Error(`no number for ${task.kind}`);
    return value;
  }

  async digest(hash: number): Promise<Buffer> {
    const value = await this.#do({ kind: 'digest', hash });
    if (typeof value === 'number') throw new Error('no digest');
    return Buffer.from(value);
  }

  /** Stores what `table` says of `memory`, which is moved away. @returns hashes, one behind the other. @throws as `count` */
  async store(task: Omit<ContentTask & { kind: 'store' }, 'kind'>): Promise<Buffer> {
    const value = await this.#do({ kind: 'store', ...task }, [task.memory]);
    if (typeof value === 'number') throw new Error('no hashes');
    return Buffer.from(value.buffer, value.byteOffset, value.length);
  }

  /** Nobody waits for it. */
  forget(hash: number): void {
    this.#do({ kind: 'forget', hash }).catch(() => undefined);
  }

  /** Ends the thread after what it was asked for. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }

  async #do(task: ContentTask, moved: readonly ArrayBuffer[] = []): Promise<number | Uint8Array> {
    const answer = await this.#thread.ask(task, moved);
    if (typeof answer === 'object' && 'failure' in answer) throw asError(answer.failure);
    return answer;
  }
}

function asError(failure: ContentFailure): Error {
  if ('call' in failure) return new LibcError(failure.call, failure.errno);
  return Object.assign(new Error(failure.message), { code: failure.code });
}
