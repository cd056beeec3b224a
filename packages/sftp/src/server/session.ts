import type { Readable, Writable } from 'node:stream';
import { MalformedPacket } from '../errors.ts';
import { PacketReader } from '../packet-reader.ts';
import { PacketSplitter } from '../packet-splitter.ts';
import { PACKET, PROTOCOL_VERSION } from '../protocol.ts';
import { Dispatcher } from './dispatcher.ts';
import type { SftpSessionErrorCode } from './errors.ts';
import { SftpSessionError } from './errors.ts';
import { ReplyOutput } from './reply-output.ts';
import type { SftpRequest, SftpService, SftpSession } from './service.ts';
import { writeVersion } from './write-reply.ts';

export interface SessionSettings {
  readonly extensions: readonly (readonly [name: string, data: string])[];
  readonly maxPacketBytes: number;
  readonly maxPendingRequests: number;
  readonly maxPendingBytes: number;
  readonly maxUnsentBytes: number;
  readonly onServiceError: ((error: unknown, request: SftpRequest) => void) | undefined;
}

export interface SessionParts {
  readonly input: Readable;
  readonly output: Writable;
  readonly service: SftpService;
  readonly settings: SessionSettings;
}

/**
 * One client's session. `#pump` is the only place that takes packets: it runs when a chunk came and when a reason to wait has
 * gone, and stops, within a chunk if need be, while too much is pending or unsent. The input is paused until all it gave is done.
 */
export class Session implements SftpSession {
  readonly finished: Promise<void>;
  bytesReceived = 0;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #settings: SessionSettings;
  readonly #replies: ReplyOutput;
  readonly #requests: Dispatcher;
  readonly #splitter: PacketSplitter;
  readonly #reader = new PacketReader();
  readonly #ends = Promise.withResolvers<void>();
  readonly #failing = new AbortController();
  #failure: SftpSessionError | undefined;
  #chunks: Buffer[] = [];
  #pumping = false;
  #waiting = false;
  #wakeUp: NodeJS.Immediate | undefined;
  #greeted = false;
  #inputEnded = false;
  #outputEnding = false;
  #done = false;

  constructor({ input, output, service, settings }: SessionParts) {
    this.#input = input;
    this.#output = output;
    this.#settings = settings;
    this.#splitter = new PacketSplitter(settings.maxPacketBytes);
    this.#replies = new ReplyOutput(output, settings.maxUnsentBytes, () => {
      if (this.#waiting) this.#pump();
    });
    this.#requests = new Dispatcher({
      service,
      writer: this.#replies.writer,
      onServiceError: settings.onServiceError,
      settled: () => {
        this.#settled();
      },
      unreported: (cause) => {
        this.#fail('ABORTED', 'a failure of the service could not be reported', cause);
      },
    });
    this.finished = this.#ends.promise;
    // Whoever does not care how a session ended must not be ended by it.
    this.finished.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#failing.signal;
  }

  get pending(): number {
    return this.#requests.pending;
  }

  get bytesSent(): number {
    return this.#replies.bytesSent;
  }

  /** Begins to listen. */
  start(): void {
    const input = this.#input;
    const output = this.#output;
    input.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      this.#chunks.push(chunk);
      this.#pump();
    });
    input.on('end', () => {
      this.#inputEnded = true;
      this.#pump();
    });
    input.on('error', (cause: Error) => {
      this.#fail('INPUT', `the input of the SFTP session broke: ${cause.message}`, cause);
    });
    input.on('close', () => {
      if (!this.#inputEnded) this.#fail('INPUT', 'the input of the SFTP session was closed');
    });
    output.on('error', (cause: Error) => {
      this.#fail('OUTPUT', `the output of the SFTP session broke: ${cause.message}`, cause);
    });
    output.on('close', () => {
      this.#fail('OUTPUT', 'the output of the SFTP session was closed before all was sent');
    });
    if (input.destroyed || input.readableEnded)
      this.#fail('INPUT', 'the input of the SFTP session is closed');
    else if (output.destroyed || output.writableEnded)
      this.#fail('OUTPUT', 'the output of the SFTP session is closed');
  }

  abort(reason: string): void {
    this.#fail('ABORTED', reason);
  }

  #pump(): void {
    if (this.#pumping || this.#failure !== undefined) return;
    this.#pumping = true;
    try {
      while (!this.#mustWait() && this.#nextPacket()) {
        this.#takePacket();
        this.#replies.flushIfMuch();
      }
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.#fail('PROTOCOL', `the client broke the SFTP protocol: ${error.message}`);
    } finally {
      this.#pumping = false;
    }
    this.#afterPump();
  }

  #mustWait(): boolean {
    if (this.#failure !== undefined) return true;
    const { maxPendingRequests, maxPendingBytes } = this.#settings;
    const { pending, pendingBytes } = this.#requests;
    this.#waiting =
      pending >= maxPendingRequests || pendingBytes >= maxPendingBytes || this.#replies.congested;
    return this.#waiting;
  }

  #nextPacket(): boolean {
    while (!this.#splitter.next()) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) return false;
      this.#splitter.push(chunk);
    }
    return true;
  }

  #afterPump(): void {
    if (this.#failure !== undefined) {
      this.#rejectWhenSettled();
      return;
    }
    this.#replies.flush();
    if (this.#waiting) {
      this.#input.pause();
      return;
    }
    if (!this.#inputEnded) {
      if (this.#input.isPaused()) this.#input.resume();
      return;
    }
    if (this.#splitter.midPacket) this.#fail('TRUNCATED', 'the SFTP session ended in the middle of a packet');
    else if (this.pending === 0) this.#endOutput();
  }

  #endOutput(): void {
    if (this.#outputEnding) return;
    this.#outputEnding = true;
    this.#output.end(() => {
      if (this.#failure !== undefined) return;
      this.#done = true;
      this.#ends.resolve();
    });
  }

  #takePacket(): void {
    const { buffer, start, end, isOwn } = this.#splitter;
    const reader = this.#reader;
    reader.reset(buffer, start, end);
    const type = reader.u8();
    // INIT has its version where the others have their id.
    const id = reader.u32();
    if (!this.#greeted || type === PACKET.INIT) this.#greet(type, id);
    else this.#requests.dispatch(type, id, { reader, packetBytes: end - start, isOwnMemory: isOwn });
  }

  #greet(type: number, version: number): void {
    if (this.#greeted) throw new MalformedPacket('a second greeting came');
    if (type !== PACKET.INIT) throw new MalformedPacket(`a packet of type ${type} came before the greeting`);
    if (version < PROTOCOL_VERSION)
      throw new MalformedPacket(`it speaks version ${version}, not ${PROTOCOL_VERSION}`);
    this.#greeted = true;
    writeVersion(this.#replies.writer, PROTOCOL_VERSION, this.#settings.extensions);
  }

  /** What settles in one turn of the event loop leaves together. */
  #settled(): void {
    if (this.#failure !== undefined) {
      this.#rejectWhenSettled();
      return;
    }
    this.#replies.flushIfMuch();
    this.#wakeUp ??= setImmediate(() => {
      this.#wakeUp = undefined;
      this.#pump();
    });
  }

  #fail(code: SftpSessionErrorCode, message: string, cause?: unknown): void {
    if (this.#failure !== undefined || this.#done) return;
    const failure = new SftpSessionError(code, message, { cause });
    this.#failure = failure;
    this.#requests.close();
    this.#chunks = [];
    if (this.#wakeUp !== undefined) clearImmediate(this.#wakeUp);
    this.#input.destroy();
    this.#output.destroy();
    this.#failing.abort(failure);
    this.#rejectWhenSettled();
  }

  /** Not while a packet is taken: what it was that failed may have a promise of its own. */
  #rejectWhenSettled(): void {
    if (this.#failure !== undefined && this.pending === 0 && !this.#pumping) this.#ends.reject(this.#failure);
  }
}
