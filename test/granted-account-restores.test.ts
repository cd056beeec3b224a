import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { installBakker } from './harness/bakker.ts';
import { compareTrees } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { startStorageMachine } from './harness/storage-machine.ts';
import type { StorageMachine } from './harness/storage-machine.ts';

async function server(machine: StorageMachine, files: number) {
  const bakker = await installBakker();
  const name = machine.newName();
  const key = await machine.newKey();
  const source = join(bakker.folder, 'data');
  writeSampleTree(source, { files });
  const made = await machine.run(['provision', name, '--key', key.publicKey, '--size', '1G']);
  if (made.status !== 0) throw new Error(made.stderr);
  const address = `ssh://${name}@127.0.0.1:${machine.port}/`;
  const flags = [
    '--identity',
    key.file,
    '--host-key',
    machine.hostKeyFingerprint,
    '--source',
    source,
    '--yes',
  ];
  const init = await bakker.run(['init', address, ...flags]);
  if (init.status !== 0) throw new Error(init.stderr);
  return { bakker, name, source, [Symbol.asyncDispose]: () => bakker[Symbol.asyncDispose]() };
}

t.test(
  'a server restores what another one backed up while it is granted to it, and not before or after',
  async (t) => {
    await using machine = await startStorageMachine();
    await using web1 = await server(machine, 8);
    await using web2 = await server(machine, 2);
    const backup = await web1.bakker.run(['backup']);
    t.equal(backup.status, 0, backup.stderr);

    const out = join(web2.bakker.folder, 'out');
    const restore = ['restore', '--account', web1.name, '--to', out];
    const refused = await web2.bakker.run(restore);
    t.equal(refused.status, 10, 'not granted');
    t.match(refused.stderr, /bakker-storage grant /, 'it says who can');

    t.equal((await machine.run(['grant', web1.name, '--to', web2.name])).status, 0);
    const listed = await web2.bakker.run(['list', '--account', web1.name, '--json']);
    t.equal(listed.json<unknown[]>().length, 1, listed.stderr);
    t.equal(
      (await web2.bakker.run(['list', '--json'])).json<unknown[]>().length,
      0,
      'its own account is another',
    );
    t.equal((await web2.bakker.run(['ls', 'latest', web1.source, '--account', web1.name])).status, 0);
    const [run = ''] = listed.json<{ run: string }[]>().map((row) => row.run);
    t.equal((await web2.bakker.run(['verify', '--from', run, '--data', '--account', web1.name])).status, 0);
    const restored = await web2.bakker.run(restore);
    t.equal(restored.status, 0, restored.stderr);
    t.same(await compareTrees(web1.source, join(out, web1.source)), []);

    const overview = JSON.parse((await machine.run(['accounts', '--json'])).stdout) as {
      account: string;
      runs: number;
      lastRun: string;
      lastReceivedAt: string;
      states: string[];
      grants: string[];
    }[];
    const seen = overview.find(({ account }) => account === web1.name);
    t.match(seen, { runs: 1, lastRun: run, states: ['ok'], grants: [`account ${web2.name}`] });
    t.ok(Date.now() - Date.parse(seen?.lastReceivedAt ?? '') < 600_000, 'received by the storage’s clock');

    t.equal((await machine.run(['revoke', web1.name, '--to', web2.name])).status, 0);
    t.equal((await web2.bakker.run(restore)).status, 10, 'no more');
    t.notMatch(await readFile(web2.bakker.configFile, 'utf8'), web1.name);
  },
);
