import type { Readable, Writable } from 'node:stream';
import { MalformedPacket } from '../errors.ts';
import { PacketReader } from '../packet-reader.ts';
import { PacketSplitter } from '../packet-splitter.ts';
import { PACKET, PROTOCOL_VERSION, STATUS } from '../protocol.ts';
import type { SftpSessionErrorCode } from './errors.ts';
import { SftpRefusal, SftpSessionError } from './errors.ts';
import { readRequest } from './read-request.ts';
import { ReplyOutput } from './reply-output.ts';
import type { SftpReply, SftpRequest, SftpService, SftpSession } from './service.ts';
import { writeReply, writeStatus, writeVersion } from './write-reply.ts';

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
  pending = 0;
  bytesReceived = 0;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #service: SftpService;
  readonly #settings: SessionSettings;
  readonly #replies: ReplyOutput;
  readonly #splitter: PacketSplitter;
  readonly #reader = new PacketReader();
  readonly #ends = Promise.withResolvers<void>();
  readonly #failing = new AbortController();
  #failure: SftpSessionError | undefined;
  #pendingBytes = 0;
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
    this.#service = service;
    this.#settings = settings;
    this.#splitter = new PacketSplitter(settings.maxPacketBytes);
    this.#replies = new ReplyOutput(output, settings.maxUnsentBytes, () => {
      if (this.#waiting) this.#pump();
    });
    this.finished = this.#ends.promise;
    // Whoever does not care how a session ended must not be ended by it.
    this.finished.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#failing.signal;
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
    this.#waiting =
      this.pending >= maxPendingRequests || this.#pendingBytes >= maxPendingBytes || this.#replies.congested;
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
    const { buffer, start, end } = this.#splitter;
    const reader = this.#reader;
    reader.reset(buffer, start, end);
    const type = reader.u8();
    // INIT has its version where the others have their id.
    const id = reader.u32();
    if (this.#greeted && type !== PACKET.INIT) this.#takeRequest(type, id, end - start);
    else this.#greet(type, id);
  }

  #greet(type: number, version: number): void {
    if (this.#greeted) throw new MalformedPacket('a second greeting came');
    if (type !== PACKET.INIT) throw new MalformedPacket(`a packet of type ${type} came before the greeting`);
    if (version < PROTOCOL_VERSION)
      throw new MalformedPacket(`it speaks version ${version}, not ${PROTOCOL_VERSION}`);
    this.#greeted = true;
    writeVersion(this.#replies.writer, PROTOCOL_VERSION, this.#settings.extensions);
  }

  #takeRequest(type: number, id: number, packetBytes: number): void {
    const request = this.#decode(type, id);
    if (request === undefined) return;
    let reply: SftpReply | Promise<SftpReply>;
    try {
      reply = this.#service.handle(request);
    } catch (error) {
      this.#refuse(id, request, error);
      return;
    }
    if (reply instanceof Promise) {
      const heldBytes = packetBytes + (request.type === 'read' ? request.length : 0);
      this.#await(id, request, { promise: reply, heldBytes });
    } else this.#reply(id, request, reply);
  }

  /** The request, or undefined if it was answered here because it is none. */
  #decode(type: number, id: number): SftpRequest | undefined {
    try {
      const request = readRequest(type, this.#reader);
      if (request === undefined) writeStatus(this.#replies.writer, id, STATUS.OP_UNSUPPORTED);
      return request;
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      writeStatus(this.#replies.writer, id, STATUS.BAD_MESSAGE, error.message);
      return undefined;
    }
  }

  #await(
    id: number,
    request: SftpRequest,
    { promise, heldBytes }: { promise: Promise<SftpReply>; heldBytes: number },
  ): void {
    this.pending++;
    this.#pendingBytes += heldBytes;
    promise.then(
      (reply) => {
        this.#reply(id, request, reply);
        this.#settled(heldBytes);
      },
      (error: unknown) => {
        this.#refuse(id, request, error);
        this.#settled(heldBytes);
      },
    );
  }

  /** What settles in one turn of the event loop leaves together. */
  #settled(heldBytes: number): void {
    this.pending--;
    this.#pendingBytes -= heldBytes;
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

  #reply(id: number, request: SftpRequest, reply: SftpReply): void {
    if (this.#failure !== undefined) return;
    try {
      writeReply(this.#replies.writer, id, reply);
    } catch (error) {
      this.#refuse(id, request, error);
    }
  }

  #refuse(id: number, request: SftpRequest, error: unknown): void {
    const writer = this.#replies.writer;
    if (error instanceof SftpRefusal) {
      writeStatus(writer, id, error.status, error.message);
      return;
    }
    writeStatus(writer, id, STATUS.FAILURE, 'the server failed in itself');
    try {
      this.#settings.onServiceError?.(error, request);
    } catch (cause) {
      this.#fail('ABORTED', 'a failure of the service could not be reported', cause);
    }
  }

  #fail(code: SftpSessionErrorCode, message: string, cause?: unknown): void {
    if (this.#failure !== undefined || this.#done) return;
    const failure = new SftpSessionError(code, message, { cause });
    this.#failure = failure;
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
