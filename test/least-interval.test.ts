import { writeFileSync } from 'node:fs';
import t from 'tap';
import { completeRuns } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

t.test('within the least interval a run is skipped, unless forced', async (t) => {
  await using world = await makeWorld({ config: { interval: '20h' } });
  writeFileSync(`${world.source}/file`, 'file');
  const first = await world.backup();
  t.equal(first.status, 'complete');
  const skipped = await world.backup();
  t.equal(skipped.status, 'skipped');
  t.equal(completeRuns(world.storage).length, 1);
  const forced = await world.backup(['--force']);
  t.equal(forced.status, 'complete');
  t.same(completeRuns(world.storage), [first.run, forced.run]);
});

t.test('a dry run says what a run would do and changes nothing', async (t) => {
  await using world = await makeWorld();
  writeFileSync(`${world.source}/file`, 'file');
  const dry = await world.expect(['backup', '--dry-run', '--json']);
  t.match(dry.json(), { files: { new: 1 } });
  t.same(completeRuns(world.storage), []);
  t.match((await world.backup()).files, { new: 1 });
});
