import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Replaces a file, whole or not at all; a reader sees the old one or the new one. Follows no symlink. */
export async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  // nobody who reads by the file's ending takes it for one
  const made = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.new`);
  try {
    const handle = await open(made, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(made, file);
  } catch (error) {
    await rm(made, { force: true }).catch(() => undefined);
    throw error;
  }
}
