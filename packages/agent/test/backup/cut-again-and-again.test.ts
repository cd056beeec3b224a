import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { AgentError } from '../../src/errors.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { World } from '../restore/world.ts';

const FILES = 40;

/** Lets the line break when so many files were sent over it. */
function breakAfter(account: StorageAccount, files: number): StorageAccount {
  let left = files;
  const begin = account.begin.bind(account);
  account.begin = async (...given) => {
    const writer = await begin(...given);
    const file = writer.file.bind(writer);
    writer.file = (...about) =>
      left-- > 0 ? file(...about) : Promise.reject(new AgentError('CONNECTION_LOST', 'cut'));
    return writer;
  };
  return account;
}

async function backUp(world: World, filesUntilCut: number): Promise<{ files: number; opened: number }> {
  mkdirSync(world.source);
  for (let index = 0; index < FILES; index++) writeFileSync(`${world.source}/${index}`, `${index}`);
  let opened = 0;
  const report = await world.report([world.source], undefined, {
    reconnectAfterMs: [1, 1],
    openAccount: async () => {
      opened += 1;
      return breakAfter(await world.account(true), filesUntilCut);
    },
  });
  return { files: report.files.total, opened };
}

t.test(
  'a line that breaks again and again is connected to again as long as each time gets further',
  async (t) => {
    await using world = new World();
    const { files, opened } = await backUp(world, 5);
    t.equal(files, FILES);
    t.ok(opened > 5, `${opened} connections`);
  },
);

t.test('a line that breaks at the same place each time ends the run', async (t) => {
  await using world = new World();
  await t.rejects(backUp(world, 0), { code: 'CONNECTION_LOST' });
});
