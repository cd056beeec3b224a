import type { Handle, SftpClient } from '@bakker/sftp';

/** Whether an open file begins with these bytes; with none, nothing is asked. */
export async function startsWith(
  client: SftpClient,
  handle: Handle,
  begins: Buffer | undefined,
): Promise<boolean> {
  for (let at = 0; begins !== undefined && at < begins.length;) {
    const piece = await client.read(handle, at, begins.length - at);
    if (piece.length === 0 || !piece.equals(begins.subarray(at, at + piece.length))) return false;
    at += piece.length;
  }
  return true;
}
