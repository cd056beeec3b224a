import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { chooseRuns } from '../../src/browse/choose-run.ts';
import { openAhead } from '../../src/browse/open-ahead.ts';
import { altered } from '../restore/altered-account.ts';
import { World } from '../restore/world.ts';

t.test('the next manifests are asked for while one is read, in order, and none stays open', async (t) => {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/file`, 'content');
  for (let count = 0; count < 7; count++) await world.backUp();
  await using account = await world.account();
  const runs = await chooseRuns(account, 'all');
  writeFileSync(`${world.storage}/${runs[2]}.impl`, 'nonsense');
  const asked: string[] = [];
  let closedCount = 0;
  const watched = altered(account, {
    manifest: async function* (run) {
      asked.push(run);
      try {
        yield* account.manifest(run);
      } finally {
        closedCount++;
      }
    },
  });
  const seen: string[] = [];
  for await (const { run, manifest } of openAhead(watched, runs)) {
    if (seen.length === 0) t.same(asked, runs.slice(0, 1), 'a key may have to be asked for');
    else t.ok(asked.length >= Math.min(seen.length + 4, 7), `${asked.length} were asked for`);
    seen.push(run);
    if (run === runs[2]) await t.rejects(manifest, { code: 'MANIFEST_DAMAGED' });
    else await (await manifest)[Symbol.asyncDispose]();
  }
  t.same(seen, runs);
  t.equal(closedCount, 7);
  for await (const { run, manifest } of openAhead(watched, runs)) {
    await (await manifest)[Symbol.asyncDispose]();
    if (run === runs[1]) break;
  }
  t.equal(closedCount, asked.length, 'stopped early, too');
});
