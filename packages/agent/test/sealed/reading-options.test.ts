import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { OpeningAccount } from '../../src/sealed/opening-account.ts';
import { readingOptions } from '../../src/sealed/reading-options.ts';
import { World } from '../restore/world.ts';

/** What is warned of when the manifest of a clear run is read, on a machine whose configuration says nothing of sealing. */
async function warningsWith(identityFile: string | undefined): Promise<readonly string[]> {
  await using world = new World();
  mkdirSync(world.source);
  writeFileSync(`${world.source}/file`, 'made up');
  const run = await world.backUp();
  await using account = await world.account();
  const warnings: string[] = [];
  const unused = () => Promise.reject(new Error('nothing of this is needed for a clear run'));
  const opening = new OpeningAccount(
    account,
    readingOptions({
      account,
      isOwnAndSealed: false,
      identityFiles: identityFile === undefined ? [] : [identityFile],
      keptFile: '/nowhere',
      keys: unused,
      threads: unused,
      state: unused,
      warn: (text) => warnings.push(text.replace(run, 'RUN')),
    }),
  );
  for (let reading = 1; reading <= 2; reading++)
    for await (const piece of opening.manifest(run))
      if (piece.length === 0) throw new Error('an empty piece');
  return warnings;
}

t.test('a clear run is told, once, to who names a key and has no memory of the account', async (t) => {
  t.same(await warningsWith('/mnt/usb/private.key'), [
    'RUN is not sealed: this server does not remember whether it should be',
  ]);
  t.same(await warningsWith(undefined), []);
});
