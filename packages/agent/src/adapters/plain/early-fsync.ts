import type { SftpClient } from '@bakker/sftp';
import { OPEN } from '@bakker/sftp';

/** So much of a file is written before its storage's disk gets to work on it. */
const FLUSH_EVERY_BYTES = 64 * 1024 * 1024;

/** What of a channel is needed. */
export type Flusher = Pick<SftpClient, 'open' | 'fsync' | 'close'>;

/**
 * Brings a large file to the storage's disk while more of it is written, so that the flush at its end, which tells whether all
 * went well, finds little left. By another channel than the one that writes: its server answers nothing else meanwhile.
 */
export class EarlyFsync {
  readonly #path: Buffer;
  readonly #choose: () => Flusher | undefined;
  #unflushedBytes = 0;
  #isFlushing = false;

  /**
   * @param path - as the server names it
   * @param choose - a channel that does not write the file; undefined if there is none
   */
  constructor(path: Buffer, choose: () => Flusher | undefined) {
    this.#path = path;
    this.#choose = choose;
  }

  wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_EVERY_BYTES || this.#isFlushing) return;
    const client = this.#choose();
    if (client === undefined) return;
    this.#unflushedBytes = 0;
    this.#isFlushing = true;
    void this.#flush(client).finally(() => (this.#isFlushing = false));
  }

  /** Never rejects: what fails here fails again at the end. */
  async #flush(client: Flusher): Promise<void> {
    try {
      const handle = await client.open(this.#path, OPEN.READ);
      await Promise.allSettled([client.fsync(handle), client.close(handle)]);
    } catch {
      // the file may have been removed, the line may be cut: whoever writes will see
    }
  }
}
