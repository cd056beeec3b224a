import { escapeName } from '@bakker/command-line';
import { REFUSAL, VERB } from '@bakker/impl-format';
import { SftpStatusError } from '@bakker/sftp';
import type { Handle } from '@bakker/sftp';
import { NotPatched } from '../../ports/storage-account.ts';
import type { NewFile, PatchSink } from '../../ports/storage-account.ts';
import { cloneFileBody, holeBody } from './body-writer.ts';
import { NewFileSink } from './new-file-sink.ts';
import type { VerbClient } from './verb-client.ts';

/** Changed blocks that wait while the storage copies the older file. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;
const ZEROS = Buffer.alloc(192 * 1024);

export interface CloneRequest {
  /** `FOLDER/PATH` */
  readonly source: Buffer;
  readonly path: Buffer;
  /** Of the older file, the first so many bytes. */
  readonly mostBytes: number;
}

/** A large file of the run that begins as a clone of an older one. The storage may take its time for that: nobody waits here. */
export class ShellPatchSink implements PatchSink {
  /** The storage does not tell. */
  readonly isShared = false;
  readonly #verbs: VerbClient;
  readonly #file: Promise<{ readonly handle: Handle; readonly sink: NewFileSink }>;
  readonly #what: string;
  /** What was asked for so far, one after another. */
  #done: Promise<void> = Promise.resolve();
  #waitingBytes = 0;
  #isThere = false;
  /** Behind it nothing was ever said: zeros. */
  #endBytes: number;

  constructor(verbs: VerbClient, { source, path, mostBytes }: CloneRequest, about: NewFile) {
    this.#verbs = verbs;
    this.#what = `write ${escapeName(path)}`;
    this.#endBytes = mostBytes;
    this.#file = verbs.sftp.extendedOpen(VERB.cloneFile, path, cloneFileBody(source, path, mostBytes)).then(
      (handle) => {
        this.#isThere = true;
        return { handle, sink: new NewFileSink(verbs, handle, about) };
      },
      (error: unknown) => {
        throw this.#notCloned(error);
      },
    );
    this.#file.catch(() => undefined); // whoever asks for something sees the failure
  }

  async keep(): Promise<void> {
    if (this.#isThere) await this.#done;
  }

  async zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    const toBytes = Math.min(this.#endBytes, offsetBytes + lengthBytes);
    if (toBytes <= offsetBytes) return;
    const { handle, sink } = await this.#file;
    await this.#done;
    const hole = holeBody(handle.bytes, { offsetBytes, lengthBytes: toBytes - offsetBytes });
    try {
      await this.#verbs.sftp.extended(VERB.hole, hole);
    } catch (error) {
      if (!(error instanceof SftpStatusError) || error.status !== REFUSAL.UNKNOWN_VERB)
        throw this.#verbs.explained(error, this.#what);
      for (let at = offsetBytes; at < toBytes; at += ZEROS.length)
        await sink.write(at, ZEROS.subarray(0, toBytes - at));
    }
  }

  async write(offsetBytes: number, bytes: Buffer): Promise<void> {
    this.#endBytes = Math.max(this.#endBytes, offsetBytes + bytes.length);
    this.#waitingBytes += bytes.length;
    this.#done = this.#done.then(async () => {
      const { sink } = await this.#file;
      await sink.write(offsetBytes, bytes);
      this.#waitingBytes -= bytes.length;
    });
    this.#done.catch(() => undefined);
    if (this.#isThere || this.#waitingBytes >= MOST_WAITING_BYTES) await this.#done;
  }

  async restart(): Promise<void> {
    const { sink } = await this.#file;
    await this.#done;
    this.#endBytes = 0;
    await sink.restart();
  }

  async finish(sizeBytes: number, sha256?: Buffer): Promise<void> {
    const { sink } = await this.#file;
    await this.#done;
    await sink.finish(sizeBytes, sha256);
  }

  async discard(): Promise<void> {
    const file = await this.#file.catch(() => undefined);
    await this.#done.catch(() => undefined);
    await file?.sink.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.discard().catch(() => undefined);
  }

  #notCloned(error: unknown): unknown {
    const isRefused = error instanceof SftpStatusError;
    if (isRefused && (error.status === REFUSAL.NOT_THERE || error.status === REFUSAL.UNKNOWN_VERB))
      return new NotPatched(`the storage has nothing to clone: ${error.message}`, {
        isForAll: error.status === REFUSAL.UNKNOWN_VERB,
        cause: error,
      });
    return this.#verbs.explained(error, this.#what);
  }
}
