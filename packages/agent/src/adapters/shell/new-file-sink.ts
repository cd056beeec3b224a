import { escapeName } from '@bakker/command-line';
import { FILE_FLAG, VERB } from '@bakker/impl-format';
import type { Handle } from '@bakker/sftp';
import { MAX_WRITE_BYTES } from '@bakker/sftp';
import type { FileSink, NewFile } from '../../ports/storage-account.ts';
import { StoredOtherwise } from '../../ports/storage-account.ts';
import { WriteWindow } from '../sftp/write-window.ts';
import { finishBody, stringField } from './body-writer.ts';
import type { VerbClient } from './verb-client.ts';

/** A large file of the run, filled by ordinary writes; the storage tells the hash of what it has. */
export class NewFileSink implements FileSink {
  readonly #verbs: VerbClient;
  readonly #handle: Handle;
  readonly #about: NewFile;
  readonly #window: WriteWindow;
  readonly #what: string;
  #isOpen = true;

  constructor(verbs: VerbClient, handle: Handle, about: NewFile) {
    this.#verbs = verbs;
    this.#handle = handle;
    this.#about = about;
    this.#window = new WriteWindow(verbs.sftp, handle, MAX_WRITE_BYTES);
    this.#what = `write ${escapeName(handle.path)}`;
  }

  write(offsetBytes: number, bytes: Buffer): Promise<void> {
    return this.#explained(this.#window.write(offsetBytes, bytes));
  }

  async restart(): Promise<void> {
    await this.#explained(this.#window.idle());
    await this.#verbs.call(VERB.restart, stringField(this.#handle.bytes), undefined, this.#what);
  }

  async finish(sizeBytes: number, sha256?: Buffer): Promise<void> {
    await this.#explained(this.#window.idle());
    const flags = flagsOf(this.#about);
    const body = finishBody(this.#handle.bytes, { sizeBytes, mtimeNs: mtimeOf(this.#about), flags });
    const stored = await this.#verbs.call(VERB.finish, body, undefined, this.#what);
    this.#isOpen = false;
    // of a clone, a key that may not read is told nothing
    if (sha256 && stored.length > 0 && !stored.equals(sha256)) throw storedOtherwise(this.#handle.path);
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#window.idle().catch(() => undefined);
    await this.#verbs.call(VERB.discard, stringField(this.#handle.bytes), undefined, this.#what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.discard().catch(() => undefined);
  }

  async #explained(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      throw this.#verbs.explained(error, this.#what);
    });
  }
}

export function flagsOf({ executable, flush }: NewFile): number {
  return (executable ? FILE_FLAG.EXECUTABLE : 0) | (flush ? FILE_FLAG.FLUSH : 0);
}

export function mtimeOf({ mtimeNs, mtimeS }: NewFile): bigint {
  return mtimeNs ?? BigInt(Math.floor(mtimeS)) * 1_000_000_000n;
}

export function storedOtherwise(path: Buffer): StoredOtherwise {
  return new StoredOtherwise(`the storage stored other bytes of ${escapeName(path)} than were sent`);
}
