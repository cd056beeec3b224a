import { link, mkdir, mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '@bakker/linux';
import type { Config } from '../../config/config.ts';
import { loadConfig } from '../../config/load-config.ts';
import { AgentError } from '../../errors.ts';
import type { Enrolment } from '../../ports/enrolment.ts';
import type { StorageAccount } from '../../ports/storage-account.ts';
import { authorizedKeysLine, publicKeyOf } from './authorized-keys.ts';
import { fetchHostKey } from './host-key.ts';
import { readIdentity } from './identity.ts';
import { makeKeyPair } from './key-pair.ts';
import { runBySsh } from './run-by-ssh.ts';

/** What `init` needs, on this machine; the account is opened as every other command opens it, and its folder made if it is missing. */
export function linuxEnrolment(parts: {
  openAccount: (config: Config) => Promise<StorageAccount>;
  signal: AbortSignal;
}): Enrolment {
  return {
    readConfig: async (file) =>
      (await isThere(file)) ? loadConfig(file, (name) => readFile(name, 'utf8')) : undefined,
    writeConfig: writeNewFile,
    makeKeyPair: (file) => makeKeyPair(file, `bakker@${hostname()}`),
    checkKey: async (file) => void (await readIdentity(file)),
    authorizedKeysLine,
    publicKey: publicKeyOf,
    runBySsh: (target, argv) => runBySsh(target, argv, { signal: parts.signal }),
    fetchHostKey: (address) => fetchHostKey(address, { signal: parts.signal }),
    makeFolder,
    probe: async (config) => {
      await using account = await parts.openAccount(config);
      return await account.probe();
    },
    existingFolders: async (paths) => {
      const found: string[] = [];
      for (const path of paths) if (await holdsSomething(path)) found.push(path);
      return found;
    },
    isThere,
    shareFilesystem: async (path, other) => {
      const [device, otherDevice] = await Promise.all([deviceOf(path), deviceOf(other)]);
      return device !== undefined && device === otherDevice;
    },
  };
}

async function deviceOf(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(() => undefined))?.dev;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    // Any other trouble is told when it is read.
    return !hasCode(error, 'ENOENT', 'ENOTDIR');
  }
}

async function writeNewFile(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const work = await mkdtemp(join(folder, '.bakker-init-'));
    try {
      const made = join(work, basename(file));
      const handle = await open(made, 'wx', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      // link() fails where a name exists; rename() would take its place.
      await link(made, file);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    await using handle = await open(folder, 'r');
    await handle.sync();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('CONFIG_INVALID', `${file} can't be written: ${reason}`, {
      hint: 'run as root, or name another file with --config',
      cause,
    });
  }
}

async function makeFolder(folder: string): Promise<boolean> {
  try {
    return (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined;
  } catch (cause) {
    const { code = '', message = String(cause) } = cause as Partial<NodeJS.ErrnoException>;
    const reason = ['EEXIST', 'ENOTDIR'].includes(code) ? 'something else is there' : message;
    throw new AgentError('STORAGE_REFUSED', `the folder ${folder} can't be made: ${reason}`, {
      hint: 'run as root, mount the disk first, or name another folder',
      cause,
    });
  }
}

async function holdsSomething(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch {
    return false;
  }
}
