import { syncEverything } from '@bakker/linux';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { environmentOfPrograms } from '../../src/adapters/programs-environment.ts';
import { findUser } from '../../src/adapters/services/os-user.ts';
import { hasUser } from '../../src/adapters/ssh/machine-programs.ts';

t.before(() => {
  for (const name of ['BAKKER_IDENTITY_KEY', 'BAKKER_PASSPHRASE']) process.env[name] = 'secret';
});

t.test('ssh gets what the user set, and no key or passphrase that was handed to bakker', async (t) => {
  process.env['SSH_AUTH_SOCK'] = '/run/agent';
  const environment = environmentOfPrograms();
  t.notMatch(JSON.stringify(environment), /secret/);
  t.match(environment, { SSH_AUTH_SOCK: '/run/agent', PATH: process.env['PATH'], LC_ALL: 'C' });
});

t.test('neither do other programs of the system', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-programs-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const heard = join(folder, 'heard');
  for (const program of ['getent', 'sync']) {
    const file = join(folder, program);
    writeFileSync(
      file,
      `#!/bin/sh\necho ${program} >>${heard}\nenv >>${heard}\necho root:x:0:0:root:/root:/bin/sh\n`,
    );
    chmodSync(file, 0o755);
  }
  process.env['PATH'] = `${folder}:${process.env['PATH'] ?? ''}`;
  t.match(await findUser('root'), { uid: 0 });
  t.equal(await hasUser('root'), true);
  t.equal(await syncEverything(60_000), true);
  const text = readFileSync(heard, 'utf8');
  t.strictSame(text.match(/^(getent|sync)$/gm), ['getent', 'getent', 'sync']);
  t.notMatch(text, /secret/);
});
