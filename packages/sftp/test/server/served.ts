import { Duplex, duplexPair } from 'node:stream';
import type { SftpClient } from '../../src/client.ts';
import { openSftp } from '../../src/open-sftp.ts';
import { serveSftp } from '../../src/server/serve-sftp.ts';
import type {
  ServeSftpOptions,
  SftpReply,
  SftpRequest,
  SftpService,
  SftpSession,
} from '../../src/server/service.ts';
import { PACKET } from '../../src/protocol.ts';
import { packet, packetsOf, u32 } from '../hand-made-server.ts';

export type Answer = (request: SftpRequest) => SftpReply | Promise<SftpReply>;

export const OK: SftpReply = { type: 'status', code: 0 };
export const INIT = packet(PACKET.INIT, u32(3));

export function serviceOf(answer: Answer): SftpService {
  return { handle: answer };
}

/** The client half and the server half, joined in memory. */
export async function served(
  answer: Answer,
  options: ServeSftpOptions = {},
): Promise<{ client: SftpClient; session: SftpSession }> {
  const [ours, theirs] = duplexPair();
  const session = serveSftp(theirs, serviceOf(answer), options);
  return { client: await openSftp(ours), session };
}

/** A duplex whose other end is the test: it pushes what a client says, and sees or holds up what the server answers. */
export class HandMadeClient extends Duplex {
  received: Buffer[] = [];
  /** While set, no output is taken. */
  holding = false;
  #held: (() => void) | undefined;
  /** Whether the server wants input. */
  wanted = false;

  constructor() {
    super({ highWaterMark: 64 * 1024 });
  }

  override _read(): void {
    this.wanted = true;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const take = (): void => {
      this.received.push(chunk);
      done();
    };
    if (this.holding) this.#held = take;
    else take();
  }

  release(): void {
    this.holding = false;
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  /** The answers so far, without VERSION. */
  answers(): { type: number; id: number; body: Buffer }[] {
    return packetsOf(Buffer.concat(this.received)).filter(({ type }) => type !== PACKET.VERSION);
  }

  /** The code of each STATUS so far, by id. */
  statuses(): Map<number, number> {
    const statuses = this.answers().filter(({ type }) => type === PACKET.STATUS);
    return new Map(statuses.map(({ id, body }) => [id, body.readUInt32BE(0)]));
  }
}

export function handMade(
  answer: Answer,
  options: ServeSftpOptions = {},
): { client: HandMadeClient; session: SftpSession; requests: SftpRequest[] } {
  const client = new HandMadeClient();
  const requests: SftpRequest[] = [];
  const recording: Answer = (request) => {
    requests.push(request);
    return answer(request);
  };
  return { client, requests, session: serveSftp(client, serviceOf(recording), options) };
}
