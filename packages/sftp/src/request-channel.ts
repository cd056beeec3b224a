import type { Connection } from './connection.ts';
import type { Subject } from './errors.ts';
import { MalformedPacket, SftpConnectionError } from './errors.ts';
import { InFlight } from './in-flight.ts';
import type { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';
import { Pending } from './pending-request.ts';
import type { ReplyKind } from './replies.ts';
import { Room } from './room.ts';

/** With so many unanswered requests the server does not wait for the next ones. */
const BUSY_REQUESTS = 96;

/**
 * Matches replies to requests. A request is `begin`, its body on `writer`, `finish`, in one go; nothing is sent before
 * `finish`, and what is finished in one turn of the event loop leaves together.
 */
export class RequestChannel {
  readonly writer: PacketWriter;
  readonly #connection: Connection;
  readonly #inFlight = new InFlight();
  readonly #room = new Room(() => this.#inFlight.count);
  #id = 0;
  #ended = false;

  constructor(connection: Connection) {
    this.writer = connection.writer;
    this.#connection = connection;
    connection.listener = {
      packet: (type, reader) => {
        this.#answer(type, reader);
      },
      settled: () => {
        this.#room.changed();
      },
      failed: (error) => {
        for (const request of this.#inFlight.removeAll()) request.fail(error);
        this.#room.fail(error);
      },
    };
  }

  get pending(): number {
    return this.#inFlight.count;
  }

  /** @see PacketWriter.begin */
  begin(type: number, bodyBytes: number, payloadBytes = 0): PacketWriter {
    this.#id = this.#inFlight.freeId();
    this.writer.begin(type, this.#id, bodyBytes, payloadBytes);
    return this.writer;
  }

  finish<T>(kind: ReplyKind<T>, subject: Subject): Promise<T> {
    const ended = this.#whyEnded();
    if (ended !== undefined) {
      this.writer.take();
      return Promise.reject(ended);
    }
    const pending = new Pending(this.#id, kind, subject);
    this.#inFlight.add(pending);
    this.#connection.flushSoon(this.#inFlight.count > BUSY_REQUESTS);
    return pending.promise;
  }

  below(maxPending: number): Promise<void> {
    const ended = this.#whyEnded();
    return ended === undefined ? this.#room.below(maxPending) : Promise.reject(ended);
  }

  /** Lets what is under way be answered, then ends our side: OpenSSH's server forgets unsent replies when its input ends. */
  async end(): Promise<void> {
    // Now, because `finish` throws away what the writer holds once this has ended.
    this.#connection.flush();
    this.#ended = true;
    // Refused when the connection ends by itself, which is all the same here.
    await this.#room.below(1).catch(() => undefined);
    this.#connection.end();
  }

  #whyEnded(): SftpConnectionError | undefined {
    return (
      this.#connection.failure ??
      (this.#ended ? new SftpConnectionError('the SFTP connection was ended here') : undefined)
    );
  }

  #answer(type: number, reader: PacketReader): void {
    const id = reader.u32();
    const request = this.#inFlight.get(id);
    if (request === undefined)
      throw new MalformedPacket(`an answer came to a request (${id}) that is not under way`);
    request.answer(type, reader);
    this.#inFlight.remove(id);
  }
}
