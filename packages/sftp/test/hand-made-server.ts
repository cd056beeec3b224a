import { Duplex } from 'node:stream';
import type { SftpClient } from '../src/client.ts';
import { openSftp } from '../src/open-sftp.ts';
import { PACKET } from '../src/protocol.ts';

/** A duplex whose other end is the test: what the client sends is collected, what the test pushes is the server's word. */
export class HandMadeServer extends Duplex {
  received = Buffer.alloc(0);
  /** While set, the duplex takes no bytes. */
  held: (() => void) | undefined;
  holding = false;

  constructor() {
    super({ writableHighWaterMark: 64 * 1024 });
  }

  override _read(): void {
    // The test pushes.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const take = (): void => {
      this.received = Buffer.concat([this.received, chunk]);
      done();
    };
    if (this.holding) this.held = take;
    else take();
  }

  release(): void {
    this.holding = false;
    this.held?.();
    this.held = undefined;
  }
}

/** A client that was greeted by hand. */
export async function greeted(
  options: { maxPacketBytes?: number; silenceMs?: number } = {},
): Promise<{ server: HandMadeServer; client: SftpClient }> {
  const server = new HandMadeServer();
  server.push(VERSION_3);
  return { server, client: await openSftp(server, options) };
}

export function packet(type: number, ...body: Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.from([type]), ...body]);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function status(id: number, code: number, message = ''): Buffer {
  return packet(PACKET.STATUS, u32(id), u32(code), string(message), string(''));
}

/** The packets in what a client sent. */
export function packetsOf(bytes: Buffer): { type: number; id: number; body: Buffer }[] {
  const packets = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    packets.push({
      type: bytes.readUInt8(at + 4),
      id: bytes.readUInt32BE(at + 5),
      body: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return packets;
}

/** A few turns of the event loop, in which a client sends what it has and hears what came. No clock is involved. */
export async function turn(): Promise<void> {
  for (let left = 4; left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
}

export const VERSION_3 = packet(PACKET.VERSION, u32(3), string('hardlink@openssh.com'), string('1'));
