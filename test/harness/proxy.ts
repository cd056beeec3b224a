import { connect, createServer, type Socket } from 'node:net';

export interface ProxyOptions {
  readonly targetPort: number;
  /** Added on the way to the server and again on the way back: half of the round trip. */
  readonly delayMs?: number;
  /** Most that goes to the server in a second. */
  readonly bytesPerSecond?: number;
  /** Further ones are broken at once while so many are open, or never answered if so wished. */
  readonly mostConnections?: number;
  readonly isSilentBeyond?: boolean;
}

/** A TCP line on loopback that counts, delays and breaks. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes from the client to the server since the last `reset`. */
  sentBytes(): number;
  receivedBytes(): number;
  /** Connections made since the last `reset`. */
  connections(): number;
  /** Connections that were broken at once, or never answered, since then. */
  refused(): number;
  reset(): void;
  /** Breaks every connection now; new ones are taken. */
  cut(): void;
  /** Breaks every connection once, when this many more bytes went to the server. */
  cutAfterBytes(bytes: number): void;
  /** Whether new connections are broken at once. */
  refuse(isRefusing: boolean): void;
}

/** Listens on a free port of loopback and passes on to `targetPort`. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { targetPort, delayMs = 0, bytesPerSecond } = options;
  const { mostConnections = Infinity, isSilentBeyond = false } = options;
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  let sentBytes = 0;
  let receivedBytes = 0;
  let connections = 0;
  let refused = 0;
  let cutAtBytes = Infinity;
  let isRefusing = false;
  const cut = (): void => {
    for (const socket of [...sockets, ...silent]) socket.resetAndDestroy();
  };
  const keepSilent = (client: Socket): void => {
    silent.add(client);
    client.on('error', () => undefined);
    client.on('close', () => silent.delete(client));
    client.resume();
  };
  const server = createServer((client) => {
    // both ends of each are in the set
    if (isRefusing || sockets.size / 2 >= mostConnections) {
      refused += 1;
      if (isRefusing || !isSilentBeyond) client.resetAndDestroy();
      else keepSilent(client);
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
    passOn({ from: client, to: far, delayMs, bytesPerSecond }, (count) => {
      sentBytes += count;
      if (sentBytes < cutAtBytes) return;
      cutAtBytes = Infinity;
      cut();
    });
    passOn({ from: far, to: client, delayMs, bytesPerSecond: undefined }, (count) => {
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
    refused: () => refused,
    reset() {
      sentBytes = receivedBytes = connections = refused = 0;
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
  line: { from: Socket; to: Socket; delayMs: number; bytesPerSecond: number | undefined },
  count: (bytes: number) => void,
): void {
  const { from, to, delayMs, bytesPerSecond } = line;
  const later = (ms: number, action: () => void): void => {
    if (ms === 0) action();
    else setTimeout(action, ms);
  };
  const send = (bytes: Buffer): void => {
    if (to.destroyed) return;
    if (!to.write(bytes)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  };
  from.on('data', (bytes) => {
    count(bytes.length);
    later(delayMs, () => send(bytes));
    if (bytesPerSecond === undefined) return;
    from.pause();
    setTimeout(() => from.resume(), (bytes.length / bytesPerSecond) * 1000);
  });
  from.on('end', () => later(delayMs, () => to.end()));
}
