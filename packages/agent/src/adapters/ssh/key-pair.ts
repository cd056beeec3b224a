import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { hasCode } from '@bakker/linux';
import ssh2 from 'ssh2';
import { AgentError } from '../../errors.ts';

const execute = promisify(execFile);

/**
 * Makes an ed25519 key pair without a passphrase: `file` (mode 0600) and `file.pub`. Either both are there and whole
 * afterwards, or the private one is not; nothing that exists is overwritten.
 *
 * @param comment - at the end of the public key
 * @returns false if `file` is there already
 * @throws AgentError STATE_UNUSABLE if it can't be written
 */
export async function makeKeyPair(file: string, comment: string): Promise<boolean> {
  const folder = dirname(file);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const work = await mkdtemp(join(folder, '.bakker-key-'));
    try {
      const made = join(work, 'key');
      await generate(made, comment);
      // link() fails where a name exists; rename() would take its place.
      if (!(await linkNew(made, file))) return false;
      await rm(`${file}.pub`, { force: true });
      await link(`${made}.pub`, `${file}.pub`);
      await flush(folder);
      return true;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('STATE_UNUSABLE', `no key can be made at ${file}: ${reason}`, {
      hint: 'run as root, or name an existing key with --identity',
      cause,
    });
  }
}

async function generate(file: string, comment: string): Promise<void> {
  try {
    await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file]);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment });
    await writeNew(file, { text: pair.private, mode: 0o600 });
    await writeNew(`${file}.pub`, { text: `${pair.public}\n`, mode: 0o644 });
    return;
  }
  await flush(file);
  await flush(`${file}.pub`);
}

async function writeNew(file: string, { text, mode }: { text: string; mode: number }): Promise<void> {
  const handle = await open(file, 'wx', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
