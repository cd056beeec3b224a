import t from 'tap';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { World } from './world.ts';

async function worldWithLarge(): Promise<World> {
  const world = new World();
  mkdirSync(`${world.source}/folder`, { recursive: true });
  writeFileSync(`${world.source}/folder/large`, Buffer.alloc(3_000_000, 1));
  await world.backUp();
  return world;
}

t.test('a large file whose place a folder has that is not empty is named, and leaves nothing', async (t) => {
  await using world = await worldWithLarge();
  const folder = `${world.restored}/folder`;
  mkdirSync(`${folder}/large`, { recursive: true });
  writeFileSync(`${folder}/large/precious`, 'x');
  const { report } = await world.restore();
  t.match(report.warnings(), [
    /folder\/large could not be restored: a folder that is not empty is in the way/,
  ]);
  t.same(readdirSync(folder), ['large']);
  t.same(readdirSync(`${folder}/large`), ['precious']);
  t.equal(
    statSync(folder).mtimeMs,
    statSync(`${world.source}/folder`).mtimeMs,
    'nothing is done behind its times',
  );
});
