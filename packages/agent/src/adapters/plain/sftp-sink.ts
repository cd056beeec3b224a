import type { EarlyFlush } from '@bakker/linux';
import type { Handle, SftpClient } from '@bakker/sftp';
import { AgentError } from '../../errors.ts';
import type { FileSink, NewFile } from '../../ports/storage-account.ts';
import { WriteWindow } from '../sftp/write-window.ts';

/** From this size on a flush costs little beside the writing. The server answers nothing else meanwhile. */
const FSYNC_FROM_BYTES = 8 * 1024 * 1024;

export interface SftpSinkOptions {
  readonly client: SftpClient;
  readonly handle: Handle;
  readonly about: NewFile;
  /** The file as people call it. */
  readonly object: string;
  readonly maxWriteBytes: number;
  readonly canFsync: boolean;
  /** Told of all that reaches the storage's memory; undefined where it can't flush. */
  readonly early: EarlyFlush | undefined;
  readonly remove: () => Promise<void>;
  readonly translate: (error: unknown) => Promise<unknown>;
}

/** A large file over SFTP. */
export class SftpSink implements FileSink {
  readonly #options: SftpSinkOptions;
  readonly #window: WriteWindow;
  #isOpen = true;

  constructor(options: SftpSinkOptions) {
    this.#options = options;
    this.#window = new WriteWindow(options.client, options.handle, options.maxWriteBytes);
  }

  write(offsetBytes: number, bytes: Buffer): Promise<void> {
    this.#options.early?.wrote(bytes.length);
    return this.#translated(this.#window.write(offsetBytes, bytes));
  }

  async restart(): Promise<void> {
    const { client, handle } = this.#options;
    await this.#translated(this.#window.idle());
    await this.#translated(client.fsetstat(handle, { sizeBytes: 0 }));
  }

  async finish(sizeBytes: number): Promise<void> {
    const { client, handle, about, canFsync, translate } = this.#options;
    await this.#translated(this.#window.idle());
    try {
      const mtimeS = clampTime(about.mtimeS);
      const steps = [
        client.fsetstat(handle, { sizeBytes }),
        client.fsetstat(handle, { atimeS: mtimeS, mtimeS }),
        ...(canFsync && (about.flush || sizeBytes >= FSYNC_FROM_BYTES) ? [client.fsync(handle)] : []),
      ];
      const stat = client.fstat(handle);
      const failed = (await Promise.allSettled([...steps, stat])).find((step) => step.status === 'rejected');
      if (failed) throw failed.reason;
      const storedBytes = (await stat).sizeBytes;
      if (storedBytes !== sizeBytes) {
        throw new AgentError(
          'STORAGE_REFUSED',
          `the storage holds ${storedBytes ?? 'no'} bytes of ${this.#options.object}, which has ${sizeBytes}`,
          {
            hint: 'see the log of the SSH server there, and its disk; then run bakker backup again: it continues',
          },
        );
      }
    } catch (error) {
      throw await translate(error);
    }
    await this[Symbol.asyncDispose]();
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#options.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#options.client.close(this.#options.handle).catch(() => undefined);
  }

  async #translated(work: Promise<void>): Promise<void> {
    await work.catch(async (error: unknown) => {
      throw await this.#options.translate(error);
    });
  }
}

/** SFTP v3 has unsigned 32-bit seconds; the manifest keeps the true time. */
export function clampTime(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), 0xffffffff);
}
