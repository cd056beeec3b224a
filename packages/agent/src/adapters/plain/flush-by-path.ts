import type { SftpClient } from '@bakker/sftp';
import { OPEN } from '@bakker/sftp';

/**
 * Flushes a file that another channel writes: a server answers nothing else of a channel meanwhile. Never rejects: the file
 * may have been removed, the line may be cut, and whoever writes will see.
 *
 * @param path - as the server names it
 */
export async function flushByPath(
  client: Pick<SftpClient, 'open' | 'fsync' | 'close'>,
  path: Buffer,
): Promise<void> {
  try {
    const handle = await client.open(path, OPEN.READ);
    await Promise.allSettled([client.fsync(handle), client.close(handle)]);
  } catch {
    // told above
  }
}
