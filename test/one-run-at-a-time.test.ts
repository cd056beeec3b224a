import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { writeSampleTree } from './harness/sample-tree.ts';
import { completeRuns } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

t.test('a second run finds the lock held and exits 11; a lock left by a kill does not count', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(world.source, { files: 2000, maxBytes: 60_000 });
  const first = world.bakker.start(['backup', '--json']);
  while (proxy.sentBytes() < totalBytes / 10) await delay(1);
  first.process.kill('SIGSTOP');
  const second = await world.expect(['backup', '--json'], 11);
  t.match(second.stderr, String(first.process.pid), 'names who holds it');
  first.process.kill('SIGCONT');
  t.equal((await first.finished).status, 0);
  t.equal(completeRuns(world.storage).length, 1);

  const killed = world.bakker.start(['backup', '--json']);
  await delay(150);
  killed.process.kill('SIGKILL');
  await killed.finished;
  t.equal((await world.backup()).status, 'complete');
});

t.test('reading commands work while a run is under way', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  writeSampleTree(world.source, { files: 50 });
  await world.backup();
  proxy.reset();
  const totalBytes = writeSampleTree(`${world.source}/more`, { files: 2000, maxBytes: 60_000, seed: 'more' });
  const running = world.bakker.start(['backup', '--json']);
  while (proxy.sentBytes() < totalBytes / 10) await delay(1);
  running.process.kill('SIGSTOP');
  t.equal((await world.list()).filter(({ status }) => status === 'complete').length, 1);
  await world.verify();
  await world.restore();
  running.process.kill('SIGCONT');
  t.equal((await running.finished).status, 0);
});
