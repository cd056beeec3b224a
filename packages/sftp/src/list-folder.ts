import type { SftpClient } from './client.ts';
import type { DirectoryItem, Handle } from './replies.ts';

/**
 * The names in a folder in the server's order, without `.` and `..`, in the batches that come (OpenSSH: up to 100). Holds
 * as many batches as READDIRs are in flight; the server answers them in order, so none is lost or doubled.
 *
 * @throws SftpStatusError if the folder can't be opened or read, SftpConnectionError
 */
export async function* listFolder(client: SftpClient, path: Buffer): AsyncGenerator<DirectoryItem[]> {
  const handle = await client.opendir(path);
  const asked: Promise<DirectoryItem[] | undefined>[] = [];
  try {
    asked.push(ask(client, handle), ask(client, handle));
    // The first batch says how the folder is: two requests are enough for most, a large one gets more.
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) {
      const batch = await next;
      if (batch === undefined) return;
      while (asked.length < READDIRS_IN_FLIGHT) asked.push(ask(client, handle));
      const items = batch.filter(({ name }) => !isDots(name));
      if (items.length > 0) yield items;
    }
  } finally {
    // Not waited for: it saves a round trip, and requests after it are answered after it.
    client.close(handle).catch(() => undefined);
  }
}

const READDIRS_IN_FLIGHT = 4;
const DOT = 0x2e;

function ask(client: SftpClient, handle: Handle): Promise<DirectoryItem[] | undefined> {
  const reply = client.readdir(handle);
  // What is still under way when the caller stops early must not count as unhandled.
  reply.catch(() => undefined);
  return reply;
}

function isDots(name: Buffer): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}
