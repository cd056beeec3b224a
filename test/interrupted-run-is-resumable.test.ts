import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { completeRuns, findBrokenPromises } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

interface Status {
  readonly lastAttempt: { readonly exitStatus: number; readonly message: string };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} stops a run cleanly; the next one goes on from there`, async (t) => {
    await using world = await makeWorld({ proxied: true });
    const { proxy } = world;
    if (proxy === undefined) throw new Error('no proxy');
    const totalBytes = writeSampleTree(world.source, { files: 3000, maxBytes: 60_000 });
    const running = world.bakker.start(['backup', '--json']);
    while (proxy.sentBytes() < totalBytes / 2) await delay(1);
    running.process.kill(signal);
    const stopped = await running.finished;
    t.equal(stopped.status, 130, stopped.stderr);
    t.match(stopped.stderr, /interrupted/i);
    t.match(stopped.stderr, /continue|resume|again/i, 'says what happens next');
    const told = (await world.expect(['status', '--json'], 1)).json<Status>();
    t.match(told.lastAttempt, { exitStatus: 130, message: `interrupted by ${signal}` });
    t.same(completeRuns(world.storage), []);
    t.same(findBrokenPromises(world.storage), []);

    // An incomplete run is continued whatever the least interval is.
    await world.configure({ interval: '20h' });
    proxy.reset();
    const report = await world.backup();
    t.equal(report.status, 'complete');
    t.ok(
      proxy.sentBytes() < totalBytes * 0.75,
      `${proxy.sentBytes()} of ${totalBytes} bytes sent after the stop`,
    );
    t.same(await compareTrees(world.source, await world.restore()), []);
  });
}
