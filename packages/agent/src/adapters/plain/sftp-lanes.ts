import { parentPath } from '@bakker/impl-format';
import type { SftpClient } from '@bakker/sftp';

/**
 * Spreads requests over SFTP channels so that none has to wait for an answer it does not need.
 *
 * A server answers one channel's requests in order: whatever is asked below a new folder on the channel that makes the
 * folder needs no wait. Once a folder is known to be there, any channel will do. Only folders whose answer is still to
 * come are remembered.
 */
export class SftpLanes {
  #clients: readonly SftpClient[];
  readonly #inTheMaking = new Map<string, { readonly client: SftpClient; readonly made: Promise<void> }>();

  /** @param clients - at least one */
  constructor(clients: readonly SftpClient[]) {
    this.#clients = clients;
  }

  get clients(): readonly SftpClient[] {
    return this.#clients;
  }

  /** Takes these channels from now on; what was asked for on others still comes in order there. */
  use(clients: readonly SftpClient[]): void {
    this.#clients = clients;
  }

  /** The channel on which a request for a name comes after the making of its folder. */
  forPath(path: Buffer): SftpClient {
    return this.#folderOf(path)?.client ?? this.quietest();
  }

  /** Undefined if the folder that `path` lies in is there; else resolves when it is: for requests on another connection. */
  parentReady(path: Buffer): Promise<void> | undefined {
    return this.#folderOf(path)?.made;
  }

  /** Makes a folder by `make` on the channel chosen for it. */
  mkdir(path: Buffer, make: (client: SftpClient) => Promise<void>): Promise<void> {
    const client = this.forPath(path);
    const made = make(client);
    const key = path.toString('latin1');
    this.#inTheMaking.set(key, { client, made });
    const forget = () => {
      this.#inTheMaking.delete(key);
    };
    made.then(forget, forget);
    return made;
  }

  /** The one with the fewest requests under way. */
  quietest(): SftpClient {
    return quietestOf(this.#clients);
  }

  #folderOf(path: Buffer) {
    return this.#inTheMaking.size === 0
      ? undefined
      : this.#inTheMaking.get(parentPath(path).toString('latin1'));
  }
}

/** @param clients - at least one */
export function quietestOf(clients: readonly SftpClient[]): SftpClient {
  let best = clients[0];
  for (const client of clients) if (!best || client.pending < best.pending) best = client;
  if (!best) throw new Error('no SFTP channel');
  return best;
}
