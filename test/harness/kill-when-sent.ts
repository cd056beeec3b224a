import { setTimeout as delay } from 'node:timers/promises';
import type { World } from './world.ts';

/**
 * Starts a backup and kills it when three fifths of what there is to send have gone; the proxy counts anew then.
 *
 * @returns bytes that were sent
 */
export async function killWhenSent({ bakker, proxy }: World, totalBytes: number): Promise<number> {
  if (proxy === undefined) throw new Error('no proxy');
  const running = bakker.start(['backup', '--json']);
  while (proxy.sentBytes() < totalBytes * 0.6) await delay(1);
  running.process.kill('SIGKILL');
  await running.finished;
  const sentBytes = proxy.sentBytes();
  if (sentBytes > totalBytes * 0.95)
    throw new Error('the run was over before it was killed: the test shows nothing');
  proxy.reset();
  return sentBytes;
}
