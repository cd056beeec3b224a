import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../../errors.ts';
import type { KeyFile, KeyFiles } from '../../ports/key-files.ts';
import { askSecret } from './ask-secret.ts';

const MOST_BYTES = 64 * 1024;
const OTHERS_MAY_READ = 0o044;
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'ENOSYS']);

/** Keys on this machine. */
export function linuxKeyFiles(parts: {
  isInteractive: boolean;
  /** Keeps the terminal free for a question until it is disposed of. */
  holdTerminal: () => Disposable;
  signal: AbortSignal;
}): KeyFiles {
  return {
    read: readKeyFile,
    create: (file, text) => write(file, text, { mode: 0o600, isNew: true }),
    replace: (file, text) => write(file, text, { mode: 0o644, isNew: false }),
    environment: (name) => {
      const value = process.env[name];
      return value === '' ? undefined : value;
    },
    askSecret: async (question, goesOn = () => false) => {
      if (!parts.isInteractive) return undefined;
      using _held = parts.holdTerminal();
      const terminal = { input: process.stdin, output: process.stderr, signal: parts.signal };
      return await askSecret({ question, goesOn }, terminal);
    },
  };
}

async function readKeyFile(file: string): Promise<KeyFile | undefined> {
  try {
    await using handle = await open(file, 'r');
    const { mode } = await handle.stat();
    const buffer = Buffer.alloc(MOST_BYTES);
    let filledBytes = 0;
    // a pipe gives what a program wrote so far
    for (;;) {
      const { bytesRead } = await handle.read(buffer, filledBytes, MOST_BYTES - filledBytes, null);
      filledBytes += bytesRead;
      if (bytesRead === 0 || filledBytes === MOST_BYTES) break;
    }
    return { text: buffer.toString('utf8', 0, filledBytes), isExposed: (mode & OTHERS_MAY_READ) !== 0 };
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new AgentError('KEY_MISSING', `the file ${file} can't be read: ${code}`, {
      hint: code === 'EACCES' ? 'run bakker as its owner' : 'name a readable file',
      cause,
    });
  }
}

/** Beside its place first, so that nobody ever sees a part of it. */
async function write(file: string, text: string, options: { mode: number; isNew: boolean }): Promise<void> {
  const folder = dirname(file);
  const beside = join(folder, `.${basename(file)}.${randomBytes(4).toString('hex')}`);
  try {
    // the folder of a configuration may be new; a private key goes where there is a place for it
    if (!options.isNew) await makeFolder(folder);
    try {
      await using handle = await open(beside, 'wx', options.mode);
      await handle.writeFile(text);
      await handle.sync();
      if (options.isNew) await giveNewName(beside, file, text);
      else await rename(beside, file);
    } finally {
      await rm(beside, { force: true });
    }
    await using handle = await open(folder, 'r');
    await handle.sync();
  } catch (cause) {
    throw refusal(file, cause);
  }
}

/** One level: below /proc, Node.js tries for ever to make a path. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o755 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** link() fails where a name exists; rename() would take its place. A memory stick has no links: there the file is written. */
async function giveNewName(beside: string, file: string, text: string): Promise<void> {
  try {
    await link(beside, file);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error))) throw error;
    await using handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } catch (cause) {
      await rm(file, { force: true });
      throw cause;
    }
  }
}

function refusal(file: string, cause: unknown): AgentError {
  const code = codeOf(cause);
  if (code === 'EEXIST') {
    return new AgentError('USAGE', `${file} exists, and a key is never written over another file`, {
      hint: 'name a new file with --out',
      cause,
    });
  }
  return new AgentError('USAGE', `the file ${file} can't be written: ${code}`, {
    hint: 'name another file, or run bakker as the owner of the folder',
    cause,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
