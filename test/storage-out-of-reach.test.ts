import { writeFileSync } from 'node:fs';
import t from 'tap';
import { runTool } from './harness/processes.ts';
import { completeRuns } from './harness/storage-check.ts';
import { makeWorld } from './harness/world.ts';

/** What went wrong, and perhaps what to do: never a stack. */
function isPlain(stderr: string): boolean {
  return stderr.trim().split('\n').length <= 4 && !/^\s+at /m.test(stderr);
}

for (const kind of ['plain', 'openssh'] as const) {
  t.test(`a changed host key is refused with exit 10 (${kind})`, async (t) => {
    await using world = await makeWorld({ kind });
    writeFileSync(`${world.source}/file`, 'file');
    await world.backup();
    await world.server?.restart({ newHostKey: true });
    const refused = await world.expect(['backup', '--json'], 10);
    t.match(refused.stderr, /host key/i);
    t.match(refused.stderr, world.server?.hostKeyFingerprint ?? '?', 'shows what it met');
    t.ok(isPlain(refused.stderr), refused.stderr);
    t.equal(completeRuns(world.storage).length, 1);
  });

  t.test(`a key that the account does not take is refused with exit 10 (${kind})`, async (t) => {
    await using world = await makeWorld({ kind });
    const strange = `${world.bakker.folder}/strange`;
    await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', strange]);
    await world.configure({ identity: strange });
    const refused = await world.expect(['backup', '--json'], 10);
    t.match(refused.stderr, /key/i);
    t.ok(isPlain(refused.stderr), refused.stderr);
  });

  t.test(`a storage that is not there is exit 10 (${kind})`, async (t) => {
    await using world = await makeWorld({ kind });
    await world.server?.stop();
    for (const command of [['backup', '--json'], ['list'], ['verify'], ['retention']]) {
      const refused = await world.expect(command, 10);
      t.match(refused.stderr, '127.0.0.1');
      t.ok(isPlain(refused.stderr), refused.stderr);
    }
  });
}

t.test('a key file that is missing is said', async (t) => {
  await using world = await makeWorld();
  await world.configure({ identity: '/no/such/key' });
  const refused = await world.bakker.run(['backup', '--json']);
  t.ok([2, 10].includes(refused.status ?? -1), `status ${refused.status}`);
  t.match(refused.stderr, '/no/such/key');
});
