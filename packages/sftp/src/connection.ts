import type { Duplex } from 'node:stream';
import { MalformedPacket, SftpConnectionError } from './errors.ts';
import { PacketReader } from './packet-reader.ts';
import { PacketSplitter } from './packet-splitter.ts';
import { PacketWriter } from './packet-writer.ts';

/** Who listens on a connection. */
export interface ConnectionListener {
  /** A packet after its type. @throws MalformedPacket if it breaks the protocol: the connection ends with it */
  packet(type: number, reader: PacketReader): void;
  /** All packets of a chunk were handed over. */
  settled(): void;
  /** Called once. Nothing is sent or received any more. */
  failed(error: SftpConnectionError): void;
}

/**
 * Packets over a duplex. What is encoded in one turn of the event loop is sent at its end in one go; chunks are cut into
 * packets as they come. The first failure destroys the duplex.
 */
export class Connection {
  readonly writer = new PacketWriter();
  listener: ConnectionListener | undefined;
  bytesSent = 0;
  bytesReceived = 0;
  readonly #duplex: Duplex;
  readonly #splitter: PacketSplitter;
  readonly #reader = new PacketReader();
  #flushDue: NodeJS.Immediate | undefined;
  #flushLater: NodeJS.Timeout | undefined;
  #failure: SftpConnectionError | undefined;
  #ended = false;
  #drainWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(duplex: Duplex, maxPacketBytes: number) {
    this.#duplex = duplex;
    this.#splitter = new PacketSplitter(maxPacketBytes);
    duplex.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    duplex.on('drain', () => {
      const waiters = this.#drainWaiters;
      this.#drainWaiters = [];
      for (const { resolve } of waiters) resolve();
    });
    duplex.on('error', (cause: Error) => {
      this.fail(new SftpConnectionError(`the SFTP connection broke: ${cause.message}`, { cause }));
    });
    duplex.on('end', () => {
      this.#closed();
    });
    duplex.on('close', () => {
      this.#closed();
    });
    if (duplex.destroyed || duplex.readableEnded) this.#closed();
  }

  /** Why nothing can be sent any more, if so. */
  get failure(): SftpConnectionError | undefined {
    return this.#failure;
  }

  /** Whether the duplex holds more than its high-water mark. */
  get congested(): boolean {
    return this.#duplex.writableNeedDrain;
  }

  /**
   * Sends what the writer holds: now when that is much, else at the end of this turn. While the server has plenty to
   * answer (`isBusy`) more is gathered for a moment: every small packet costs both sides a system call and a wake-up.
   */
  flushSoon(isBusy: boolean): void {
    if (this.writer.queuedBytes >= FLUSH_AT_BYTES) this.flush();
    else if (isBusy) this.#flushLater ??= setTimeout(this.#flushNow, GATHER_MS);
    else this.#flushDue ??= setImmediate(this.#flushNow);
  }

  flush(): void {
    this.#flushNow();
  }

  /** Resolves once the duplex is below its high-water mark. */
  drained(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.congested) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#drainWaiters.push({ resolve, reject });
    });
  }

  /** Sends what is left and ends our side; replies still come in. */
  end(): void {
    if (this.#ended || this.#failure !== undefined) return;
    this.flush();
    this.#ended = true;
    this.#duplex.end();
  }

  fail(error: SftpConnectionError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#forgetFlush();
    this.#duplex.destroy();
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const { reject } of waiters) reject(error);
    this.listener?.failed(error);
  }

  readonly #flushNow = (): void => {
    this.#forgetFlush();
    this.#send();
  };

  #forgetFlush(): void {
    if (this.#flushDue !== undefined) clearImmediate(this.#flushDue);
    if (this.#flushLater !== undefined) clearTimeout(this.#flushLater);
    this.#flushDue = undefined;
    this.#flushLater = undefined;
  }

  #send(): void {
    if (this.#failure !== undefined) return;
    const pieces = this.writer.take();
    const duplex = this.#duplex;
    if (pieces.length > 1) duplex.cork();
    for (const piece of pieces) {
      this.bytesSent += piece.length;
      duplex.write(piece);
    }
    if (pieces.length > 1) duplex.uncork();
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.bytesReceived += chunk.length;
    const splitter = this.#splitter;
    const reader = this.#reader;
    try {
      splitter.push(chunk);
      while (splitter.next()) {
        reader.reset(splitter.buffer, splitter.start, splitter.end);
        this.listener?.packet(reader.u8(), reader);
      }
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.fail(new SftpConnectionError(`the server broke the SFTP protocol: ${error.message}`));
      return;
    }
    this.listener?.settled();
  }

  #closed(): void {
    const where = this.#splitter.midPacket ? ' in the middle of a packet' : '';
    this.fail(new SftpConnectionError(`the SFTP connection ended${where}`));
  }
}

const FLUSH_AT_BYTES = 256 * 1024;
const GATHER_MS = 1;
