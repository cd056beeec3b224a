import type { Subject } from './errors.ts';
import { MalformedPacket, SftpStatusError } from './errors.ts';
import type { PacketReader } from './packet-reader.ts';
import { PACKET, STATUS } from './protocol.ts';
import type { ReplyKind } from './replies.ts';

/** A request under way, whatever it will be answered with. */
export interface PendingRequest {
  readonly id: number;
  /** @throws MalformedPacket if the reply is none for this request, which stays pending then */
  answer(type: number, reader: PacketReader): void;
  fail(error: Error): void;
}

/** A request whose promise resolves to `T`. */
export class Pending<T> implements PendingRequest {
  readonly id: number;
  readonly #kind: ReplyKind<T>;
  readonly #subject: Subject;
  readonly #ends: PromiseWithResolvers<T>;

  constructor(id: number, kind: ReplyKind<T>, subject: Subject) {
    this.id = id;
    this.#kind = kind;
    this.#subject = subject;
    this.#ends = Promise.withResolvers<T>();
  }

  get promise(): Promise<T> {
    return this.#ends.promise;
  }

  answer(type: number, reader: PacketReader): void {
    const kind = this.#kind;
    const status = type === PACKET.STATUS ? reader.u32() : STATUS.OK;
    if (status === STATUS.OK) {
      if (type === PACKET.STATUS && kind.atOk !== undefined) {
        this.#ends.resolve(kind.atOk.value);
        return;
      }
      if (type !== kind.type) {
        throw new MalformedPacket(`a packet of type ${type} came in answer to ${this.#subject.request}`);
      }
      this.#ends.resolve(kind.decode(reader, this.#subject.path ?? NOTHING));
    } else if (status === STATUS.EOF && kind.atEof !== undefined) {
      this.#ends.resolve(kind.atEof.value);
    } else {
      // Old servers leave the message out.
      const message = reader.remainingBytes > 0 ? reader.string() : NOTHING;
      this.#ends.reject(SftpStatusError.light(status, this.#subject, message));
    }
  }

  fail(error: Error): void {
    this.#ends.reject(error);
  }
}

const NOTHING = Buffer.alloc(0);
