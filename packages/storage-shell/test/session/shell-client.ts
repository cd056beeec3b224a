import {
  TreeScriptEncoder,
  VERB,
  decodeTreeOutcome,
  encodeBody,
  parseBeginReply,
  parseHelloReply,
  parseListReply,
  parsePublishReply,
} from '@bakker/impl-format';
import type {
  BeginReply,
  ObjectCounts,
  PublishReply,
  PublishRequest,
  RunName,
  TreeOutcome,
  Verb,
} from '@bakker/impl-format';
import type { SftpClient } from '@bakker/sftp';
import { SftpStatusError, joinStreams, openSftp } from '@bakker/sftp';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** As the launcher has it: a start takes half the time. */
const COMPILE_CACHE = fileURLToPath(new URL('../../dist/.compile-cache', import.meta.url));

export interface ShellOptions {
  readonly root: string;
  readonly account?: string;
  readonly role?: 'backup' | 'restore';
  readonly noRead?: boolean;
  /** Unix user to be. */
  readonly uid?: number;
  /** A module that is loaded before the program. */
  readonly preload?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A client of a real `bakker-storage shell`, over a pipe. */
export class Shell implements AsyncDisposable {
  readonly client: SftpClient;
  readonly child: ChildProcess;
  readonly #stderr: () => string;

  private constructor(client: SftpClient, child: ChildProcess, stderr: () => string) {
    this.client = client;
    this.child = child;
    this.#stderr = stderr;
  }

  /** Without a greeting: `hello` is the caller's. */
  static async start(options: ShellOptions): Promise<Shell> {
    const { root, account = 'server1', role = 'backup', noRead = false, uid, preload, env = {} } = options;
    const args = ['--disable-warning=ExperimentalWarning'];
    if (preload !== undefined) args.push('--import', preload);
    args.push(MAIN, 'shell', '--root', root, '--account', account, '--role', role);
    if (noRead) args.push('--no-read');
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => undefined);
    const client = await openSftp(joinStreams(child.stdout, child.stdin));
    return new Shell(client, child, () => stderr);
  }

  /** Greeted. */
  static async open(options: ShellOptions): Promise<Shell> {
    const shell = await Shell.start(options);
    await shell.hello();
    return shell;
  }

  get stderr(): string {
    return this.#stderr();
  }

  verb(verb: string, body: Buffer): Promise<Buffer> {
    return this.client.extended(verb, body);
  }

  async json(verb: Verb, value: object): Promise<Buffer> {
    const reply = await this.verb(verb, string(encodeBody(value)));
    return reply.subarray(4);
  }

  async hello() {
    return parseHelloReply(await this.json(VERB.hello, { versions: [1], program: 'a test' }));
  }

  async begin(parent: string | null = null): Promise<BeginReply> {
    return parseBeginReply(await this.json(VERB.begin, { parent }));
  }

  async list(request: object = {}) {
    return parseListReply(await this.json(VERB.list, request));
  }

  put(path: string, content: string | Buffer, { mtimeNs = 0n, flags = 0 } = {}): Promise<Buffer> {
    return this.putAll([{ path, content, mtimeNs, flags }]);
  }

  putAll(
    files: readonly { path: string; content: string | Buffer; mtimeNs?: bigint; flags?: number }[],
  ): Promise<Buffer> {
    const heads = files.map(({ path, content, mtimeNs = 0n, flags = 0 }) =>
      Buffer.concat([string(path), i64(mtimeNs), Buffer.of(flags), u32(Buffer.byteLength(content))]),
    );
    const contents = files.map(({ content }) => Buffer.from(content));
    return this.verb(VERB.put, Buffer.concat([u32(files.length), ...heads, ...contents]));
  }

  async create(path: string, expectedBytes = 0): Promise<Buffer> {
    const body = Buffer.concat([string(path), Buffer.of(0), u64(expectedBytes)]);
    return (await this.verb(VERB.create, body)).subarray(4);
  }

  /** @param source - `FOLDER/PATH` */
  async cloneFile(
    source: string,
    path: string,
    mostBytes: bigint | number = 2n ** 64n - 1n,
  ): Promise<Buffer> {
    const most = Buffer.alloc(8);
    most.writeBigUInt64BE(BigInt(mostBytes));
    const body = Buffer.concat([string(source), string(path), most]);
    return (await this.client.extendedOpen(VERB.cloneFile, Buffer.from(path), body)).bytes;
  }

  write(handle: Buffer, offsetBytes: number, bytes: Buffer | string): Promise<void> {
    return this.client.write({ bytes: handle, path: Buffer.from('new') }, offsetBytes, Buffer.from(bytes));
  }

  async hole(handle: Buffer, offsetBytes: number, lengthBytes: number): Promise<void> {
    await this.verb(VERB.hole, Buffer.concat([string(handle), u64(offsetBytes), u64(lengthBytes)]));
  }

  finish(handle: Buffer, sizeBytes: number, { mtimeNs = 0n, flags = 0 } = {}): Promise<Buffer> {
    const body = Buffer.concat([string(handle), u64(sizeBytes), i64(mtimeNs), Buffer.of(flags)]);
    return this.verb(VERB.finish, body);
  }

  async tree(write: (script: TreeScriptEncoder) => void): Promise<TreeOutcome> {
    const script = new TreeScriptEncoder();
    write(script);
    return decodeTreeOutcome(await this.verb(VERB.tree, script.take()));
  }

  /** Sends a manifest as it is. @returns its SHA-256 */
  async manifest(bytes: Buffer, { startOver = false } = {}): Promise<string> {
    await this.verb(VERB.manifest, Buffer.concat([Buffer.of(startOver ? 0x81 : 1), bytes]));
    return createHash('sha256').update(bytes).digest('hex');
  }

  async publish(
    objects: Partial<ObjectCounts>,
    request: Partial<PublishRequest> & { frozen?: string } = {},
  ): Promise<PublishReply> {
    const { manifestSha256 = await this.manifest(await emptyManifest()) } = request;
    const reply = await this.json(VERB.publish, {
      objects: { files: 0, directories: 0, symlinks: 0, bytes: 0, ...objects },
      manifestSha256,
      receipt: { ...FIGURES, ...(request.frozen === undefined ? {} : { frozen: request.frozen }) },
    });
    return parsePublishReply(reply);
  }

  async cleanUp(): Promise<void> {
    await this.json(VERB.cleanUp, {});
  }

  /** Ends our side, and waits for the program. @returns its exit status, or the signal that ended it */
  async end(): Promise<number | string | null> {
    const ended = this.child.exitCode !== null || this.child.signalCode !== null;
    const exit = ended ? undefined : once(this.child, 'exit');
    await this.client.end();
    await exit;
    return this.child.exitCode ?? this.child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** A folder of accounts on the real disk, with the account `server1`; removed with all that is in it. */
export function temporaryRoot(
  name: string,
): Disposable & { readonly path: string; readonly account: string } {
  const path = mkdtempSync(`/tmp/bakker-session-${name}-`);
  execFileSync('chmod', ['711', path]);
  mkdirSync(`${path}/server1`, { mode: 0o700 });
  return {
    path,
    account: `${path}/server1`,
    [Symbol.dispose]: () => void execFileSync('rm', ['-rf', path]),
  };
}

/** One published run. */
export async function publishRun(
  root: string,
  files: Readonly<Record<string, string>>,
  parent: string | null = null,
): Promise<RunName> {
  await using shell = await Shell.open({ root });
  const { run } = await shell.begin(parent);
  for (const [path, content] of Object.entries(files)) await shell.put(path, content);
  const folders = new Set(Object.keys(files).flatMap(foldersAbove));
  await shell.publish({
    files: Object.keys(files).length,
    directories: folders.size,
    bytes: Object.values(files).reduce((sum, content) => sum + Buffer.byteLength(content), 0),
  });
  await shell.cleanUp();
  return run;
}

/** The status that a request is refused with; the value if it is not. */
export async function statusOf(request: Promise<unknown>): Promise<unknown> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof SftpStatusError) return error.status;
    throw error;
  }
}

export async function emptyManifest(): Promise<Buffer> {
  return Buffer.from(`nothing that a storage reads ${Math.random()}`);
}

export const FIGURES = {
  status: 'complete' as const,
  startedAtMs: 1,
  finishedAtMs: 2,
  files: 1,
  sourceBytes: 1,
  addedBytes: 1,
  manifestDigest: 'ab'.repeat(32),
};

export function string(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function i64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function foldersAbove(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
