import { MalformedPacket } from '../errors.ts';
import type { PacketReader } from '../packet-reader.ts';
import type { PacketWriter } from '../packet-writer.ts';
import { STATUS } from '../protocol.ts';
import { SftpRefusal } from './errors.ts';
import { readRequest } from './read-request.ts';
import type { SftpReply, SftpRequest, SftpService } from './service.ts';
import { writeReply, writeStatus } from './write-reply.ts';

export interface DispatcherParts {
  readonly service: SftpService;
  readonly writer: PacketWriter;
  readonly onServiceError: ((error: unknown, request: SftpRequest) => void) | undefined;
  /** Called when a promise has settled, its reply written. */
  readonly settled: () => void;
  /** Called when `onServiceError` itself threw. */
  readonly unreported: (cause: unknown) => void;
}

/** What came, behind its type and id. */
export interface ReceivedPacket {
  /** Stands behind the id. */
  readonly reader: PacketReader;
  readonly packetBytes: number;
  /** Whether it lies in memory that nothing else looks at. */
  readonly isOwnMemory: boolean;
}

/** Takes requests to the service and its replies to the writer; counts what is under way. Every request gets one reply. */
export class Dispatcher {
  /** Promises that have not settled. */
  pending = 0;
  /** Length of their packets, and of the data that they ask for. */
  pendingBytes = 0;
  readonly #parts: DispatcherParts;
  #closed = false;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Replies are dropped from here on. */
  close(): void {
    this.#closed = true;
  }

  dispatch(type: number, id: number, { reader, packetBytes, isOwnMemory }: ReceivedPacket): void {
    const request = this.#decode(type, id, { reader, isOwnMemory });
    if (request === undefined) return;
    let reply: SftpReply | Promise<SftpReply>;
    try {
      reply = this.#parts.service.handle(request);
    } catch (error) {
      this.#refuse(id, request, error);
      return;
    }
    if (!(reply instanceof Promise)) {
      this.#reply(id, request, reply);
      return;
    }
    const heldBytes = packetBytes + (request.type === 'read' ? request.length : 0);
    this.pending++;
    this.pendingBytes += heldBytes;
    const settle = (): void => {
      this.pending--;
      this.pendingBytes -= heldBytes;
      this.#parts.settled();
    };
    reply.then(
      (settled) => {
        this.#reply(id, request, settled);
        settle();
      },
      (error: unknown) => {
        this.#refuse(id, request, error);
        settle();
      },
    );
  }

  /** The request, or undefined if it was answered here because it is none. */
  #decode(
    type: number,
    id: number,
    { reader, isOwnMemory }: Pick<ReceivedPacket, 'reader' | 'isOwnMemory'>,
  ): SftpRequest | undefined {
    const { writer } = this.#parts;
    try {
      const request = readRequest(type, reader, isOwnMemory);
      if (request === undefined) writeStatus(writer, id, STATUS.OP_UNSUPPORTED);
      return request;
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      writeStatus(writer, id, STATUS.BAD_MESSAGE, error.message);
      return undefined;
    }
  }

  #reply(id: number, request: SftpRequest, reply: SftpReply): void {
    if (this.#closed) return;
    try {
      writeReply(this.#parts.writer, id, reply);
    } catch (error) {
      this.#refuse(id, request, error);
    }
  }

  #refuse(id: number, request: SftpRequest, error: unknown): void {
    const { writer, onServiceError, unreported } = this.#parts;
    if (error instanceof SftpRefusal) {
      if (!this.#closed) writeStatus(writer, id, error.status, error.message);
      return;
    }
    if (!this.#closed) writeStatus(writer, id, STATUS.FAILURE, 'the server failed in itself');
    try {
      onServiceError?.(error, request);
    } catch (cause) {
      unreported(cause);
    }
  }
}
