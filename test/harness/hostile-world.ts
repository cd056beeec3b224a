import { TreeScriptEncoder } from '@bakker/impl-format';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RawSftp, REPLY, string, u32, u64, u8, wordsOf } from './raw-sftp.ts';
import type { RawTarget } from './raw-sftp.ts';
import type { StorageMachine } from './storage-machine.ts';

/** The three kinds of keys that an account knows. */
export const RIGHTS = ['backup', 'no-read', 'restore'] as const;
export type Right = (typeof RIGHTS)[number];

/** An account as `provision` makes it, with a key of each kind. */
export interface HostileAccount {
  readonly name: string;
  readonly folder: string;
  readonly uid: number;
  readonly keys: Readonly<Record<Right, RawTarget>>;
}

export async function provisionAccount(machine: StorageMachine, size = '20G'): Promise<HostileAccount> {
  const name = machine.newName();
  const target = async (): Promise<RawTarget & { publicKey: string }> => {
    const { file, publicKey } = await machine.newKey();
    return { port: machine.port, user: name, identityFile: file, publicKey };
  };
  const keys = { backup: await target(), 'no-read': await target(), restore: await target() };
  const run = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await machine.run(args);
    if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  };
  await run('provision', name, '--key', keys.backup.publicKey, '--size', size);
  await run('provision', name, '--key', keys['no-read'].publicKey, '--no-read');
  await run('grant', name, '--key', keys.restore.publicKey);
  const folder = join(machine.rootDir, name);
  return { name, folder, uid: lstatSync(folder).uid, keys };
}

/** One file of a run: its path, and what is in it. */
export type Files = Readonly<Record<string, string | Buffer>>;

export function putBody(path: string | Buffer, content: string | Buffer, flags = 0): Buffer {
  return Buffer.concat([
    u32(1),
    ...[string(path), u64(1_700_000_000_000_000_000n), u8(flags)],
    // the only content, so that its length is the string's
    string(content),
  ]);
}

export function script(write: (script: TreeScriptEncoder) => void): Buffer {
  const encoder = new TreeScriptEncoder();
  write(encoder);
  return encoder.take();
}

/** Counts for `publish` of nothing but files that were put. */
export function countsOf(files: Files): Record<string, number> {
  const folders = new Set<string>();
  for (const path of Object.keys(files)) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_, index) => folders.add(parts.slice(0, index + 1).join('/')));
  }
  const bytes = Object.values(files).reduce((sum, content) => sum + Buffer.from(content).length, 0);
  return { files: Object.keys(files).length, directories: folders.size, symlinks: 0, bytes };
}

export const NOTHING_COUNTED = { files: 0, directories: 0, symlinks: 0, bytes: 0 };

export function publishBody(objects: Record<string, number>, manifestSha256: string | null): object {
  return {
    objects,
    manifestSha256,
    receipt: {
      status: 'complete',
      startedAtMs: 1,
      finishedAtMs: 2,
      files: 1,
      sourceBytes: 1,
      addedBytes: 1,
      manifestDigest: 'ab'.repeat(32),
    },
  };
}

/** Sends a manifest as it is. @returns its SHA-256 */
export async function sendManifest(raw: RawSftp, bytes: Buffer): Promise<string> {
  const reply = await raw.extended('manifest@bakker', Buffer.concat([u8(0x81), bytes]));
  if (reply?.type !== REPLY.STATUS || reply.body.readUInt32BE(0) !== 0) throw new Error(wordsOf(reply));
  return createHash('sha256').update(bytes).digest('hex');
}

/** A published run of these files, and a symlink `symlink`. @returns its name */
export async function publishRun(target: RawTarget, files: Files): Promise<string> {
  await using raw = await RawSftp.greeted(target);
  const { run } = await raw.told('begin@bakker', { parent: null });
  for (const [path, content] of Object.entries(files)) {
    const reply = await raw.extended('put@bakker', putBody(path, content, path.endsWith('.sh') ? 1 : 0));
    if (reply?.type !== REPLY.EXTENDED) throw new Error(`put ${path}: ${wordsOf(reply)}`);
  }
  await raw.extended(
    'tree@bakker',
    script((tree) => tree.symlink(Buffer.from('symlink'), Buffer.from('folder/file'))),
  );
  const manifest = await sendManifest(raw, Buffer.from(`the manifest of ${String(run)}`));
  await raw.told('publish@bakker', publishBody({ ...countsOf(files), symlinks: 1 }, manifest));
  await raw.told('clean-up@bakker', {});
  await raw.end();
  return String(run);
}

/** What a folder is made of, by the system's own tools: what the storage's program says counts for nothing here. */
export interface PastPrint {
  /** Each name with type, mode, owner, size, mtime, symlink target. */
  readonly names: string;
  readonly contents: string;
  readonly attributes: string;
  /** Links and ctime: what making a further name changes, too. */
  readonly inodes: string;
}

/**
 * The past of an account: complete runs, manifests, receipts, `latest`, and what of `.bakker` a client may not change.
 */
export function printPast(folder: string): PastPrint {
  const run = /^\d{4}_\d{2}_\d{2}_\d{2,}(\.impl)?$/;
  const top = readdirSync(folder).filter((name) => run.test(name) || name === 'latest');
  const hidden = ['receipts', 'trash', 'id', 'account.yaml', 'agent.yaml', 'frozen.json', 'hurt.json'];
  const there = hidden.filter((name) => readdirSync(`${folder}/.bakker`).includes(name));
  const places = [...top.sort(), ...there.map((name) => `.bakker/${name}`)].map((name) => `./${name}`);
  const tool = (line: string): string =>
    execFileSync('bash', ['-o', 'pipefail', '-c', line, 'bash', ...places], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      encoding: 'latin1',
      maxBuffer: 1 << 28,
    });
  // Folders of which a run is the child change their links and times with it: only what lies in `.bakker` is not ours to hold.
  return {
    names: tool(`find "$@" -printf '%p|%y|%#m|%U:%G|%s|%T@|%l\\n' | grep -v '^./.bakker/[a-z]*|d' | sort`),
    contents: tool('find "$@" -type f -print0 | sort -z | xargs -0r sha256sum'),
    attributes: tool('find "$@" -type f -print0 | sort -z | xargs -0r getfattr -h -d -m - -e hex --'),
    inodes: tool(`find "$@" ! -type d -printf '%p|%i|%n|%C@\\n' | sort`),
  };
}

/** The processes of an account's sessions. */
export function sessionsOf(uid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return lstatSync(`/proc/${pid}`).uid === uid && /main\.js\0shell/.test(command);
      } catch {
        return false;
      }
    });
}

/** The most memory that a process ever had. */
export function peakBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}
