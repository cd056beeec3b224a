import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { OpeningAccount } from '../../src/sealed/opening-account.ts';
import { readingOptions } from '../../src/sealed/reading-options.ts';
import { World } from '../restore/world.ts';

const files: Readonly<Record<string, string>> = {
  '/run/credentials/bakker-identity-key': 'bakker-private-key:…',
};

/** What is warned of when the manifest of a clear run is read, on a machine whose configuration says nothing of sealing. */
async function warningsWith({
  identityFile,
  environment = {},
  keptText,
}: {
  identityFile?: string;
  environment?: Readonly<Record<string, string>>;
  /** `refused`: it is there, and can't be read. */
  keptText?: string;
}): Promise<readonly string[]> {
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
      keptFile: '/etc/identity.key',
      keys: async () => ({
        environment: (name) => environment[name],
        read: async (file) => {
          if (keptText === 'refused') throw new Error('EACCES');
          const text = file === '/etc/identity.key' ? keptText : files[file];
          return text === undefined ? undefined : { text, isExposed: false };
        },
        create: unused,
        replace: unused,
        askSecret: unused,
      }),
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

t.test('a clear run is told, once, to who has a key ready and has no memory of the account', async (t) => {
  const told = ['RUN is not sealed: this server does not remember whether it should be'];
  t.same(await warningsWith({ identityFile: '/mnt/usb/private.key' }), told);
  for (const environment of [
    { BAKKER_IDENTITY_KEY: 'cv3xzb4m …' },
    { BAKKER_IDENTITY_KEY_FILE: '/mnt/usb/private.key' },
    { CREDENTIALS_DIRECTORY: '/run/credentials' },
  ])
    t.same(await warningsWith({ environment }), told);
  t.same(await warningsWith({ keptText: 'bakker-private-key:…' }), told);
  t.same(await warningsWith({ keptText: 'refused' }), told);
  t.same(await warningsWith({}), []);
});
