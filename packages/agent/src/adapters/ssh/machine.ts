import { mkdir, mkdtemp, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@bakker/linux';
import glob from 'fast-glob';
import type { Machine } from '../../ports/machine.ts';
import { hasProgram, hasUser, isUnitEnabled, reach } from './machine-programs.ts';
import { countChannels } from './count-channels.ts';
import { hasNativeCrypto } from './native-crypto.ts';

/** This machine, as `doctor` looks at it. */
export function linuxMachine({ signal }: { signal: AbortSignal }): Machine {
  return {
    uid: process.geteuid?.() ?? 0,
    inspect,
    matches: async (source) => {
      // A name that only looks like a pattern is meant as it is.
      if ((await inspect(source)) !== undefined) return [source];
      return glob(source, { onlyFiles: false, dot: true, followSymbolicLinks: false, suppressErrors: true });
    },
    tryWriting: async (folder) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const work = await mkdtemp(join(folder, '.doctor-'));
      try {
        await writeFile(join(work, 'try'), 'bakker', { flush: true });
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
    space: async (folder) => {
      const { bsize, blocks, bavail, ffree } = await statfs(folder);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, freeInodes: ffree };
    },
    runtime: () => ({
      version: process.versions.node,
      isCarried: /\/node_modules\/node-linux-[^/]+\/bin\/node$/.test(process.execPath),
    }),
    hasNativeCrypto,
    hasProgram,
    hasUser,
    isUnitEnabled,
    reach,
    countChannels: (config, wanted) => countChannels(config, { wanted, signal }),
  };
}

async function inspect(path: string): Promise<Awaited<ReturnType<Machine['inspect']>>> {
  try {
    const { mode, uid } = await stat(path);
    const type =
      (mode & 0o170000) === 0o040000 ? 'directory' : (mode & 0o170000) === 0o100000 ? 'file' : 'other';
    return { type, mode: mode & 0o7777, uid };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
