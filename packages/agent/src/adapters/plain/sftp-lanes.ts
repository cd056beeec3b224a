import type { SftpClient } from '@bakker/sftp';
import { parentPath } from '@bakker/impl-format';

/**
 * Spreads requests over SFTP channels so that none has to wait for an answer it does not need.
 *
 * A server answers one channel's requests in order: whatever is asked below a new folder on the channel that made the
 * folder needs no wait. So each folder has its channel; a subfolder may take another one once its parent is there.
 * Only the folders from the root to the newest one are remembered; a request for another one comes after its answer.
 */
export class SftpLanes {
  readonly #clients: readonly SftpClient[];
  readonly #open: Folder[] = [];

  constructor(clients: readonly SftpClient[]) {
    this.#clients = clients;
  }

  /** The channel on which requests for names directly below the parent of `path` are in order. */
  forPath(path: Buffer): SftpClient {
    return this.#folderOf(path)?.client ?? this.#quietest();
  }

  /** Resolved once the folder that `path` lies in is known to be there: for requests on another connection. */
  parentReady(path: Buffer): Promise<void> | undefined {
    const folder = this.#folderOf(path);
    return folder && !folder.isMade ? folder.made : undefined;
  }

  /** Makes a folder by `make` on the channel chosen for it. */
  mkdir(path: Buffer, make: (client: SftpClient) => Promise<void>): Promise<void> {
    const parent = this.#folderOf(path);
    const client = parent && !parent.isMade ? parent.client : this.#quietest();
    const made = make(client);
    for (let top = this.#open.at(-1); top && !isBelow(path, top.path); top = this.#open.at(-1))
      this.#open.pop();
    const folder: Folder = { path, client, made, isMade: false };
    made.then(
      () => (folder.isMade = true),
      () => undefined, // the caller sees it; requests below fail by themselves
    );
    this.#open.push(folder);
    return made;
  }

  /** Looks without forgetting: a late request for an earlier folder must not disturb the newest ones. */
  #folderOf(path: Buffer): Folder | undefined {
    const parent = parentPath(path);
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const folder = this.#open[index];
      if (folder?.path.equals(parent)) return folder;
    }
    return undefined;
  }

  #quietest(): SftpClient {
    let best = this.#clients[0];
    for (const client of this.#clients) if (!best || client.pending < best.pending) best = client;
    if (!best) throw new Error('no SFTP channel');
    return best;
  }
}

interface Folder {
  readonly path: Buffer;
  readonly client: SftpClient;
  readonly made: Promise<void>;
  isMade: boolean;
}

function isBelow(path: Buffer, folder: Buffer): boolean {
  return (
    path.length > folder.length &&
    path[folder.length] === 0x2f &&
    path.compare(folder, 0, folder.length, 0, folder.length) === 0
  );
}
