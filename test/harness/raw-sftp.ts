import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Where a raw client goes, and as whom. */
export interface RawTarget {
  readonly port: number;
  readonly user: string;
  readonly identityFile: string;
}

/** What else the system's ssh is told. */
export interface RawOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** An answer as it came. */
export interface RawReply {
  readonly type: number;
  readonly id: number;
  /** What follows the id. */
  readonly body: Buffer;
}

export const REPLY = { STATUS: 101, HANDLE: 102, DATA: 103, NAME: 104, ATTRS: 105, EXTENDED: 201 } as const;
const VERSION = 2;
const EXTENDED = 200;

/**
 * An SFTP client that checks nothing of what it sends, over the system's ssh: to send what no client of ours would. Replies
 * are told apart by their ids; a reply that nobody waits for is an error.
 */
export class RawSftp implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly ended: Promise<void>;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #lastId = 0;
  readonly #waiting = new Map<number, (reply: RawReply | undefined) => void>();
  readonly #greeted: Promise<void>;
  #greet: () => void = () => undefined;
  #hasEnded = false;
  #stderr = '';

  private constructor({ port, user, identityFile }: RawTarget, { args = [], env = {} }: RawOptions = {}) {
    this.child = spawn(
      'ssh',
      [
        ...['-F', 'none', '-p', String(port), '-i', identityFile, '-l', user],
        ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no'],
        ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', ...args, '-T', '127.0.0.1', 'sftp'],
      ],
      { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], HOME: '/root', ...env } },
    );
    this.#greeted = new Promise((resolve) => (this.#greet = resolve));
    this.child.stdin?.on('error', () => undefined);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#take();
    });
    this.ended = once(this.child, 'close').then(() => {
      this.#hasEnded = true;
      this.#greet();
      for (const resolve of this.#waiting.values()) resolve(undefined);
      this.#waiting.clear();
    });
  }

  /** Connected, and nothing said yet. */
  static connect(target: RawTarget, options?: RawOptions): RawSftp {
    return new RawSftp(target, options);
  }

  /** Both sides have said their version of SFTP; `hello` has not been said. */
  static async open(target: RawTarget): Promise<RawSftp> {
    const raw = new RawSftp(target);
    await raw.init();
    return raw;
  }

  /** Ready for verbs. */
  static async greeted(target: RawTarget): Promise<RawSftp> {
    const raw = await RawSftp.open(target);
    const reply = await raw.json('hello@bakker', { versions: [1], program: 'a hostile client' });
    if (statusOf(reply) !== undefined) throw new Error(`hello: ${wordsOf(reply)}`);
    return raw;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  async init(version = 3): Promise<void> {
    this.send(packet(1, u32(version)));
    await this.#greeted;
    if (this.#hasEnded) throw new Error(`no greeting came: ${this.#stderr}`);
  }

  /** Bytes as they are. */
  send(bytes: Buffer): void {
    this.child.stdin?.write(bytes);
  }

  /** Waits while the other side takes nothing more. */
  async sendAll(pieces: Iterable<Buffer>): Promise<void> {
    const { stdin } = this.child;
    for (const piece of pieces) {
      if (this.#hasEnded || stdin === null || stdin.destroyed) return;
      // A pipe that breaks meanwhile is the end, too.
      if (!stdin.write(piece)) await Promise.race([once(stdin, 'drain').catch(() => undefined), this.ended]);
    }
  }

  /** A request as bytes, and its answer; undefined if the connection ended without one. */
  prepare(
    type: number,
    ...fields: readonly Buffer[]
  ): { bytes: Buffer; reply: Promise<RawReply | undefined> } {
    const id = ++this.#lastId;
    const reply = this.#hasEnded
      ? Promise.resolve(undefined)
      : new Promise<RawReply | undefined>((resolve) => this.#waiting.set(id, resolve));
    return { bytes: packet(type, u32(id), ...fields), reply };
  }

  request(type: number, ...fields: readonly Buffer[]): Promise<RawReply | undefined> {
    const { bytes, reply } = this.prepare(type, ...fields);
    this.send(bytes);
    return reply;
  }

  extended(name: string, body: Buffer): Promise<RawReply | undefined> {
    return this.request(EXTENDED, string(name), body);
  }

  json(verb: string, value: unknown): Promise<RawReply | undefined> {
    return this.extended(verb, string(JSON.stringify(value)));
  }

  /** The JSON of the answer to a verb. @throws if it was refused */
  async told(verb: string, value: unknown): Promise<Record<string, unknown>> {
    const reply = await this.json(verb, value);
    if (reply?.type !== REPLY.EXTENDED) throw new Error(`${verb}: ${wordsOf(reply)}`);
    return JSON.parse(reply.body.toString('utf8', 4)) as Record<string, unknown>;
  }

  /** Reads nothing from here on. */
  stopReading(): void {
    this.child.stdout?.pause();
  }

  /** Says that nothing more comes, and waits for the end. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    this.child.stdout?.resume();
    await this.ended;
  }

  /** As if the machine were gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    this.child.stdout?.resume();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #take(): void {
    if (this.#receivedBytes < 4) return;
    let all = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
    while (all.length >= 4 && all.length >= 4 + all.readUInt32BE(0)) {
      const end = 4 + all.readUInt32BE(0);
      this.#reply(all.subarray(4, end));
      all = all.subarray(end);
    }
    this.#received = all.length === 0 ? [] : [all];
    this.#receivedBytes = all.length;
  }

  #reply(bytes: Buffer): void {
    const type = bytes.readUInt8(0);
    if (type === VERSION) {
      this.#greet();
      return;
    }
    const id = bytes.readUInt32BE(1);
    const resolve = this.#waiting.get(id);
    if (resolve === undefined) throw new Error(`a reply came that nobody asked for: ${type}, ${id}`);
    this.#waiting.delete(id);
    resolve({ type, id, body: Buffer.from(bytes.subarray(5)) });
  }
}

/** The code of a STATUS; undefined for any other answer. */
export function statusOf(reply: RawReply | undefined): number | undefined {
  return reply?.type === REPLY.STATUS ? reply.body.readUInt32BE(0) : undefined;
}

/** What a STATUS says, for messages; of other answers what they are. */
export function wordsOf(reply: RawReply | undefined): string {
  if (reply === undefined) return 'the connection ended';
  if (reply.type !== REPLY.STATUS) return `answer ${reply.type} of ${reply.body.length} bytes`;
  return `${reply.body.readUInt32BE(0)} ${stringIn(reply.body, 4).toString()}`;
}

/** The handle in an answer, be it to OPEN or to `create`. @throws if it was refused */
export function handleIn(reply: RawReply | undefined): Buffer {
  if (reply?.type !== REPLY.HANDLE && reply?.type !== REPLY.EXTENDED) throw new Error(wordsOf(reply));
  return stringIn(reply.body, 0);
}

export function packet(type: number, ...fields: readonly Buffer[]): Buffer {
  const body = Buffer.concat([u8(type), ...fields]);
  return Buffer.concat([u32(body.length), body]);
}

export function u8(value: number): Buffer {
  return Buffer.of(value);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint | number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

export function string(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([u32(bytes.length), bytes]);
}

function stringIn(body: Buffer, at: number): Buffer {
  return body.subarray(at + 4, at + 4 + body.readUInt32BE(at));
}
