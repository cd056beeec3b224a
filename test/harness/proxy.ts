import { connect, createServer, type Socket } from 'node:net';

export interface ProxyOptions {
  readonly targetPort: number;
  /** Added on the way to the server and again on the way back: half of the round trip. */
  readonly delayMs?: number;
}

/** A TCP line on loopback that counts, delays and breaks. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes from the client to the server since the last `reset`. */
  sentBytes(): number;
  receivedBytes(): number;
  /** Connections made since the last `reset`. */
  connections(): number;
  reset(): void;
  /** Breaks every connection now; new ones are taken. */
  cut(): void;
  /** Breaks every connection once, when this many more bytes went to the server. */
  cutAfterBytes(bytes: number): void;
  /** Whether new connections are broken at once. */
  refuse(isRefusing: boolean): void;
}

/** Listens on a free port of loopback and passes on to `targetPort`. */
export async function startProxy({ targetPort, delayMs = 0 }: ProxyOptions): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let sentBytes = 0;
  let receivedBytes = 0;
  let connections = 0;
  let cutAtBytes = Infinity;
  let isRefusing = false;
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer((client) => {
    if (isRefusing) {
      client.resetAndDestroy();
      return;
    }
    connections += 1;
    const far = connect({ host: '127.0.0.1', port: targetPort });
    for (const [socket, other] of [
      [client, far],
      [far, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {
        // `close` follows.
      });
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    passOn({ from: client, to: far, delayMs }, (count) => {
      sentBytes += count;
      if (sentBytes < cutAtBytes) return;
      cutAtBytes = Infinity;
      cut();
    });
    passOn({ from: far, to: client, delayMs }, (count) => {
      receivedBytes += count;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    sentBytes: () => sentBytes,
    receivedBytes: () => receivedBytes,
    connections: () => connections,
    reset() {
      sentBytes = receivedBytes = connections = 0;
    },
    cut,
    cutAfterBytes(bytes) {
      cutAtBytes = sentBytes + bytes;
    },
    refuse(wanted) {
      isRefusing = wanted;
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A line with a length: each piece leaves `delayMs` after it came, in order; a full receiver pauses the sender. */
function passOn(
  { from, to, delayMs }: { from: Socket; to: Socket; delayMs: number },
  count: (bytes: number) => void,
): void {
  const send = (bytes: Buffer): void => {
    if (to.destroyed) return;
    if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  };
  from.on('data', (bytes) => {
    count(bytes.length);
    if (delayMs === 0) send(bytes);
    else setTimeout(send, delayMs, bytes);
  });
  from.on('end', () => {
    if (delayMs === 0) to.end();
    else setTimeout(() => to.end(), delayMs);
  });
}
