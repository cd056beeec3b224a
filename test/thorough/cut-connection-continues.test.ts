import { chmodSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import type { BackupReport } from '../harness/json-contracts.ts';
import { pseudoRandomBytes, writeSampleTree } from '../harness/sample-tree.ts';
import { findBrokenPromises } from '../harness/storage-check.ts';
import { makeWorld } from '../harness/world.ts';

for (const kind of ['plain', 'openssh', 'shell'] as const) {
  t.test(`a line that is cut twice is taken up again by the same run (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, proxied: true });
    const { proxy } = world;
    if (proxy === undefined) throw new Error('no proxy');
    const totalBytes = writeSampleTree(world.source, { files: 3000, maxBytes: 60_000 });
    const running = world.bakker.start(['backup', '--json']);
    for (const share of [0.3, 0.6]) {
      while (proxy.sentBytes() < totalBytes * share && running.process.exitCode === null) await delay(1);
      proxy.cut();
    }
    const result = await running.finished;
    t.equal(result.status, 0, result.stderr);
    t.ok(proxy.connections() >= 3, `${proxy.connections()} connections`);
    t.ok(proxy.sentBytes() < totalBytes * 1.6, `${proxy.sentBytes()} sent for ${totalBytes}`);
    const { bytes, seconds } = result.json<BackupReport>();
    // what arrived while the line broke was not acknowledged, and is not counted
    const isTold = (count: number): boolean => count > totalBytes * 0.85 && count <= totalBytes;
    t.ok(isTold(bytes.sent) && isTold(bytes.stored), `${JSON.stringify(bytes)} for ${totalBytes}`);
    t.equal((await world.list())[0]?.bytes.added, bytes.stored);
    t.ok(seconds > 2, `${seconds} s, with two waits of a second`);
    t.same(findBrokenPromises(world.storage), []);
    t.same(await compareTrees(world.source, await world.restore()), []);
  });
}

const READ_FROM =
  process.env['BAKKER_TEST_ALL'] === '1' ? (['plain', 'openssh', 'shell'] as const) : (['openssh'] as const);
for (const kind of READ_FROM) {
  t.test(`a restore over a line that is cut twice goes on where it was (${kind})`, async (t) => {
    await using world = await makeWorld({ kind, proxied: true });
    const { proxy } = world;
    if (proxy === undefined) throw new Error('no proxy');
    const smallBytes = writeSampleTree(world.source, { files: 1500, maxBytes: 60_000 });
    const largeBytes = 12_000_000;
    writeFileSync(`${world.source}/large`, pseudoRandomBytes('large', largeBytes));
    chmodSync(`${world.source}/folder 3`, 0o755);
    const totalBytes = smallBytes + largeBytes;
    await world.backup();
    proxy.reset();
    const target = `${world.bakker.folder}/out`;
    // with `never`, a restore that began anew would take its own unfinished folders for somebody else's
    const args = ['restore', '--from', 'latest', '--to', target, '--overwrite', 'never', '--json'];
    const running = world.bakker.start(args);
    for (const share of [0.2, 0.6]) {
      while (proxy.receivedBytes() < totalBytes * share && running.process.exitCode === null) await delay(1);
      proxy.cut();
    }
    const result = await running.finished;
    t.equal(result.status, 0, result.stderr);
    t.match(result.stderr, 'connecting again');
    t.match(result.json(), { files: 1501, skipped: 0, warnings: { length: 0 }, damaged: { length: 0 } });
    t.ok(proxy.receivedBytes() < totalBytes * 1.6, `${proxy.receivedBytes()} received for ${totalBytes}`);
    t.same(await compareTrees(world.source, `${target}${world.source}`), []);
  });
}

t.test('a restore that is ended while the line is gone completes when it is run again', async (t) => {
  await using world = await makeWorld({ proxied: true });
  const { proxy } = world;
  if (proxy === undefined) throw new Error('no proxy');
  const totalBytes = writeSampleTree(world.source, { files: 2000, maxBytes: 60_000 });
  await world.backup();
  proxy.reset();
  const target = `${world.bakker.folder}/out`;
  const args = ['restore', '--from', 'latest', '--to', target];
  const running = world.bakker.start(args);
  while (proxy.receivedBytes() < totalBytes / 2 && running.process.exitCode === null) await delay(1);
  proxy.refuse(true);
  proxy.cut();
  await delay(200);
  running.process.kill('SIGTERM');
  t.equal((await running.finished).status, 130);
  const dead = await world.bakker.run(args);
  t.equal(dead.status, 10, 'a line that is not there at the start is not waited for');
  proxy.refuse(false);
  await world.expect(args);
  t.same(await compareTrees(world.source, `${target}${world.source}`), []);
});
