import { isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import { AgentError } from '../../errors.ts';
import type { Bandwidth } from '../../limits/bandwidth.ts';
import { CorkingSocket } from './corking-socket.ts';
import { LimitedSocket } from './limited-socket.ts';

const CONNECT_TIMEOUT_MS = 20_000;

/** `host:port`, an IPv6 address in brackets. */
export function hostAndPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens a TCP connection over IPv4 or IPv6 with Nagle's algorithm off: small requests must not wait for each other.
 *
 * @throws AgentError STORAGE_UNREACHABLE; the signal's reason when it is aborted
 */
export async function openTcp(
  target: { host: string; port: number },
  { signal, bandwidth }: { signal: AbortSignal; bandwidth?: Bandwidth | undefined },
): Promise<Socket> {
  signal.throwIfAborted();
  const isLimited = bandwidth?.upload !== undefined || bandwidth?.download !== undefined;
  const socket = isLimited ? new LimitedSocket(bandwidth) : new CorkingSocket();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    reject(Object.assign(new Error('connection timed out'), { code: 'ETIMEDOUT' }));
  }, CONNECT_TIMEOUT_MS);
  socket.once('error', reject).once('connect', resolve);
  signal.addEventListener('abort', reject);
  try {
    // The default of 250 ms for one address gives up on a line that is merely long.
    socket.connect({ host: target.host, port: target.port, autoSelectFamilyAttemptTimeout: 4_000 });
    await promise;
  } catch (cause) {
    socket.on('error', () => undefined).destroy();
    signal.throwIfAborted();
    throw unreachable(target, cause);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', reject);
  }
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  return socket;
}

function unreachable(target: { host: string; port: number }, cause: unknown): AgentError {
  const code = errorCode(cause);
  const [reason, hint] = REASONS[code] ?? [cause instanceof Error ? cause.message : code, undefined];
  const where = hostAndPort(target.host, target.port);
  return new AgentError('STORAGE_UNREACHABLE', `${where} can't be reached: ${reason}`, {
    hint: hint ?? 'check the address, the network and the firewalls between here and there',
    cause,
  });
}

const DNS_HINT = 'check the spelling of the host in `account:`, and the resolver of this machine';
const REASONS: Readonly<Record<string, readonly [reason: string, hint: string | undefined]>> = {
  ECONNREFUSED: [
    'the connection was refused',
    'check that sshd runs there and that the port in `account:` is right',
  ],
  ETIMEDOUT: ['no answer in time', undefined],
  EHOSTUNREACH: ['no route to the host', undefined],
  ENETUNREACH: ['no route to its network', undefined],
  ENOTFOUND: ['the name is not known', DNS_HINT],
  EAI_AGAIN: ['the name can not be looked up now', DNS_HINT],
  ECONNRESET: ['the connection was reset', undefined],
};

function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'unknown error';
}
