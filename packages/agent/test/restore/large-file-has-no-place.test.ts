import t from 'tap';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { altered } from './altered-account.ts';
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

for (const overwrite of ['never', 'if-newer', 'if-changed'] as const)
  t.test(`a large file does not take a name that another got while it came, with ${overwrite}`, async (t) => {
    await using world = await worldWithLarge();
    await using account = await world.account();
    const file = `${world.restored}/folder/large`;
    const slow: StorageAccount = altered(account, {
      async *readExtents(...args) {
        for await (const piece of account.readExtents(...args)) {
          writeFileSync(file, 'mine');
          yield piece;
        }
      },
    });
    const { report } = await world.restore({ overwrite }, slow);
    t.match(report.warnings(), [/large could not be restored: something else took the name meanwhile/]);
    t.equal(readFileSync(file, 'utf8'), 'mine');
    t.same(readdirSync(`${world.restored}/folder`), ['large']);
  });
