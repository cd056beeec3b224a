import ssh2 from 'ssh2';
import { AgentError } from '../../errors.ts';
import { algorithms, fingerprintOf, hostKeyAlgorithms, hostKeyType } from './handshake.ts';
import { hostAndPort, openTcp } from './tcp.ts';

const READY_TIMEOUT_MS = 20_000;

/**
 * Asks a storage for its host key, without logging in; its ed25519 key if it has one.
 *
 * @returns the type as `ssh-ed25519`, the fingerprint as `SHA256:…`
 * @throws AgentError STORAGE_UNREACHABLE; the signal's reason when it is aborted
 */
export async function fetchHostKey(
  target: { host: string; port: number },
  { signal }: { signal: AbortSignal },
): Promise<{ type: string; fingerprint: string }> {
  const socket = await openTcp(target, { signal });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const client = new ssh2.Client();
  client.on('error', reject);
  client.on('close', () => reject(new Error('it closed the connection')));
  const abort = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', abort);
  try {
    client.connect({
      sock: socket,
      username: 'bakker',
      algorithms: algorithms({ compress: false, serverHostKey: hostKeyAlgorithms() }),
      hostVerifier: (key: Buffer) => {
        resolve(Buffer.from(key));
        // The key exchange proves that the storage holds the key; nothing after it is wanted.
        return false;
      },
      readyTimeout: READY_TIMEOUT_MS,
    });
    const key = await promise;
    return { type: hostKeyType(key), fingerprint: fingerprintOf(key) };
  } catch (cause) {
    signal.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    const where = hostAndPort(target.host, target.port);
    throw new AgentError('STORAGE_UNREACHABLE', `${where} shows no host key: ${reason}`, {
      hint: 'check that an SSH server listens on this port',
      cause,
    });
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}
