import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { Duplex } from 'node:stream';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import { stages } from '../../timings/stages.ts';
import { environmentOfPrograms } from '../programs-environment.ts';

const STDERR_KEPT = 4_096;
/** SSH_FXP_INIT, version 3. */
const SFTP_INIT = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
const MAX_GREETING_BYTES = 262_144;

export interface ChannelEnd {
  readonly status: number | null;
  readonly stderr: string;
  /** True when it was asked to end. */
  readonly wasAsked: boolean;
}

/**
 * One `ssh -s HOST sftp` as a stream. ssh says nothing when a log-in succeeds, whatever jump hosts are in between; so `greet`
 * begins the SFTP conversation, and the stream answers the consumer's own INIT with the kept reply.
 */
export class OpensshChannel extends Duplex {
  readonly ended: Promise<ChannelEnd>;
  sentBytes = 0;
  receivedBytes = 0;
  readonly #child: ChildProcessWithoutNullStreams;
  #stderr = '';
  #version: Buffer | undefined;
  #hasInitPassed = false;
  #wasAsked = false;
  /** What a cut looks like to the consumer. */
  readonly #lostError: (end: ChannelEnd) => Error;
  readonly #bandwidth: Bandwidth | undefined;
  /** Until what came is paid for, nothing more is read. */
  #holding: NodeJS.Timeout | undefined;

  constructor(
    args: readonly string[],
    { lostError, bandwidth }: { lostError: (end: ChannelEnd) => Error; bandwidth: Bandwidth | undefined },
  ) {
    super({ allowHalfOpen: false, readableHighWaterMark: 1_048_576, writableHighWaterMark: 1_048_576 });
    this.#lostError = lostError;
    this.#bandwidth = bandwidth;
    // A session of its own: Ctrl-C is ours to handle, and no prompt can reach a terminal.
    this.#child = spawn('ssh', args, { stdio: 'pipe', detached: true, env: environmentOfPrograms() });
    this.ended = this.#watchEnd();
    this.on('error', () => undefined);
  }

  /**
   * Waits for the SFTP server.
   *
   * @returns that ssh closes instead (see `ended`), or that what comes is no SFTP; undefined if all is well
   */
  async greet(): Promise<'closing' | 'no SFTP' | undefined> {
    this.#child.stdin.write(SFTP_INIT);
    const version = await this.#readPacket();
    if (typeof version === 'string') return version;
    this.#version = version;
    this.#child.stdout.on('data', this.#receive);
    this.#child.stdout.pause();
    return undefined;
  }

  override _read(): void {
    if (this.#version !== undefined && this.#holding === undefined) this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    let rest = chunk;
    if (!this.#hasInitPassed) {
      this.#hasInitPassed = true;
      if (rest.subarray(0, SFTP_INIT.length).equals(SFTP_INIT)) {
        rest = rest.subarray(SFTP_INIT.length);
        this.push(this.#version);
      }
    }
    this.sentBytes += rest.length;
    if (rest.length === 0) {
      done();
      return;
    }
    const send = (): void => {
      stages.doing('send', () => this.#child.stdin.write(rest, (error) => this.#written(error, done)));
    };
    const waitMs = this.#bandwidth?.upload?.take(rest.length) ?? 0;
    if (waitMs === 0) send();
    else setTimeout(send, waitMs);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end((error?: Error | null) => this.#written(error, done));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wasAsked = true;
    this.#child.kill('SIGTERM');
    done(error);
  }

  /** Ends ssh at once; the consumer gets `reason` as an error, if there is one. */
  kill(reason?: Error): void {
    this.#wasAsked = true;
    this.#child.kill('SIGKILL');
    this.destroy(reason);
  }

  /** When ssh takes no more it is about to end, and its end says why; EPIPE does not. */
  #written(error: Error | null | undefined, done: () => void): void {
    if (error === null || error === undefined) done();
    else this.#child.kill('SIGTERM');
  }

  readonly #receive = (bytes: Buffer): void => {
    this.receivedBytes += bytes.length;
    const isWanted = stages.doing('receive', () => this.push(bytes));
    const { download } = this.#bandwidth ?? {};
    download?.take(bytes.length);
    const waitMs = download?.debtMs() ?? 0;
    if (!isWanted || waitMs > 0) this.#child.stdout.pause();
    if (waitMs > 0) this.#hold(isWanted, waitMs);
  };

  #hold(isWanted: boolean, waitMs: number): void {
    clearTimeout(this.#holding);
    this.#holding = setTimeout(() => {
      this.#holding = undefined;
      if (isWanted || this.readableLength < this.readableHighWaterMark) this.#child.stdout.resume();
    }, waitMs);
  }

  async #readPacket(): Promise<Buffer | 'closing' | 'no SFTP'> {
    const stdout = this.#child.stdout;
    for (;;) {
      const header: unknown = stdout.read(4);
      if (header instanceof Buffer && header.length === 4) {
        const lengthBytes = header.readUInt32BE(0);
        // A forced command that prints text instead of speaking SFTP.
        if (lengthBytes > MAX_GREETING_BYTES) return 'no SFTP';
        const body = await this.#readBytes(lengthBytes);
        return body === undefined ? 'closing' : Buffer.concat([header, body]);
      }
      if (!(await this.#moreToRead())) return 'closing';
    }
  }

  async #readBytes(lengthBytes: number): Promise<Buffer | undefined> {
    for (;;) {
      const bytes: unknown = this.#child.stdout.read(lengthBytes);
      if (bytes instanceof Buffer && bytes.length === lengthBytes) return bytes;
      if (!(await this.#moreToRead())) return undefined;
    }
  }

  async #moreToRead(): Promise<boolean> {
    const stdout = this.#child.stdout;
    if (stdout.readableEnded || stdout.destroyed) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onReadable = (): void => resolve(true);
    const onEnd = (): void => resolve(false);
    stdout.once('readable', onReadable).once('end', onEnd).once('close', onEnd);
    try {
      return await promise;
    } finally {
      stdout.off('readable', onReadable).off('end', onEnd).off('close', onEnd);
    }
  }

  #watchEnd(): Promise<ChannelEnd> {
    const child = this.#child;
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    return new Promise((resolve) => {
      const end = (status: number | null): void => {
        const ended = { status, stderr: this.#stderr, wasAsked: this.#wasAsked };
        resolve(ended);
        if (this.destroyed) return;
        // Only now, because a consumer that saw the end of the stream first would take a cut for a good-bye.
        if (status === 0) this.push(null);
        else this.destroy(ended.wasAsked ? undefined : this.#lostError(ended));
      };
      child.once('error', (error) => {
        this.#stderr = `${error.message}\n`;
        end(255);
      });
      child.once('close', end);
    });
  }
}
