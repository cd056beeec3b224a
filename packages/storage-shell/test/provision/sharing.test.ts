import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { startStorageMachine } from '../../../../test/harness/storage-machine.ts';
import type { StorageMachine } from '../../../../test/harness/storage-machine.ts';

async function account(machine: StorageMachine, ...flags: string[]) {
  const name = machine.newName();
  const key = await machine.newKey();
  const made = await machine.run(['provision', name, '--key', key.publicKey, ...flags]);
  if (made.status !== 0) throw new Error(made.stderr);
  return { name, key };
}

async function mayLogIn(
  machine: StorageMachine,
  as: { name: string },
  key: { file: string },
): Promise<boolean> {
  const { stderr } = await machine.ssh(as.name, key.file, { input: '' });
  return !stderr.includes('Permission denied');
}

const lines = (machine: StorageMachine, { name }: { name: string }): string =>
  readFileSync(join(machine.etc, 'keys', name), 'utf8');

t.test(
  'a grant lets the other server’s keys in to read, those of later too, and revoke ends it',
  async (t) => {
    await using machine = await startStorageMachine();
    const web1 = await account(machine);
    const web2 = await account(machine);
    t.notOk(await mayLogIn(machine, web1, web2.key), 'nobody else at first');
    t.equal((await machine.run(['grant', web1.name, '--to', web2.name])).status, 0);
    t.ok(await mayLogIn(machine, web1, web2.key));
    t.notOk(await mayLogIn(machine, web2, web1.key), 'not the other way round');
    t.match(
      lines(machine, web1),
      `--account ${web1.name} --role restore" ${web2.key.publicKey.split(' ').slice(0, 2).join(' ')}`,
    );

    const later = await machine.newKey();
    t.equal((await machine.run(['provision', web2.name, '--key', `${later.file}.pub`])).status, 0);
    t.ok(await mayLogIn(machine, web1, later), 'a key that web2 got later');
    t.equal(
      (await machine.run(['grant', web1.name, '--to', web2.name])).stdout,
      'It was so already: nothing was changed.\n',
    );

    t.equal((await machine.run(['revoke', web1.name, '--to', web2.name])).status, 0);
    t.notOk(await mayLogIn(machine, web1, web2.key));
    t.ok(await mayLogIn(machine, web1, web1.key), 'its own server goes on');
    t.equal(
      (await machine.run(['revoke', web1.name, '--to', web2.name])).status,
      1,
      'there is no such grant any more',
    );
  },
);

t.test('a group is whoever is in it, now and later', async (t) => {
  await using machine = await startStorageMachine();
  const vault = await account(machine);
  const web1 = await account(machine, '--group', 'webs');
  t.match((await machine.run(['grant', vault.name, '--group', 'dbs'])).stderr, /no group dbs/);
  t.equal((await machine.run(['grant', vault.name, '--group', 'webs'])).status, 0);
  t.ok(await mayLogIn(machine, vault, web1.key));
  const web2 = await account(machine, '--group', 'webs');
  t.ok(await mayLogIn(machine, vault, web2.key), 'who joined after the grant');

  await writeFile(join(machine.etc, 'groups.yaml'), `webs: [${web2.name}]\n`);
  t.match((await machine.run(['accounts'])).stdout, /keys out of date/);
  t.equal((await machine.run(['grant', '--refresh'])).status, 0);
  t.notOk(await mayLogIn(machine, vault, web1.key), 'who was taken out by hand');
  t.ok(await mayLogIn(machine, vault, web2.key));
  t.notMatch((await machine.run(['accounts'])).stdout, /out of date/);

  t.equal((await machine.run(['deprovision', web2.name, '--delete-data', '--yes'])).status, 0);
  t.notOk(await mayLogIn(machine, vault, web2.key), 'an account that is gone');
  t.notMatch(readFileSync(join(machine.etc, 'groups.yaml'), 'utf8'), web2.name);
});

t.test('a key of no account can be granted, and a stolen key is revoked by its fingerprint', async (t) => {
  await using machine = await startStorageMachine();
  const web1 = await account(machine, '--no-read');
  t.match(lines(machine, web1), '--role backup --no-read"');
  const machineKey = await machine.newKey();
  t.equal((await machine.run(['grant', web1.name, '--key', `${machineKey.file}.pub`])).status, 0);
  t.ok(await mayLogIn(machine, web1, machineKey));
  const listed = JSON.parse((await machine.run(['accounts', '--json'])).stdout) as {
    account: string;
    keys: { fingerprint: string; read: boolean }[];
    grants: string[];
  }[];
  const [own] = listed.find(({ account: name }) => name === web1.name)?.keys ?? [];
  t.equal(own?.read, false);
  const cut = await machine.run(['revoke', web1.name, '--key', (own?.fingerprint ?? '').slice(0, -1)]);
  t.match(cut, { status: 2, stderr: /is no fingerprint of a key/ }, 'one that was not copied whole');
  t.equal((await machine.run(['revoke', web1.name, '--key', own?.fingerprint ?? ''])).status, 0);
  t.notOk(await mayLogIn(machine, web1, web1.key));
  t.ok(await mayLogIn(machine, web1, machineKey));
  t.match((await machine.run(['provision', web1.name, '--key', web1.key.file])).stderr, /private key/);
});

t.test('--no-read holds until it is taken back by name', async (t) => {
  await using machine = await startStorageMachine();
  const web1 = await account(machine, '--no-read');
  await machine.run(['provision', web1.name, '--key', web1.key.publicKey]);
  t.match(lines(machine, web1), '--no-read');
  t.equal((await machine.run(['provision', web1.name, '--allow-read'])).status, 0);
  t.notMatch(lines(machine, web1), '--no-read');
  t.equal((await machine.run(['provision', web1.name, '--no-read'])).status, 0);
  t.match(lines(machine, web1), '--no-read');
});

t.test('what killed commands left half written goes with the next write, and with the account', async (t) => {
  await using machine = await startStorageMachine();
  const web1 = await account(machine, '--size', '100M');
  const web2 = await account(machine);
  const dead = spawnSync('true').pid;
  const hidden = join(machine.rootDir, web1.name, '.bakker');
  const left = (pid: number): string[] => [
    join(machine.etc, 'keys', `.${web1.name}.${pid}.new`),
    join(machine.etc, 'accounts', `.${web1.name}.yaml.${pid}.new`),
    join(hidden, `.account.yaml.${pid}.new`),
  ];
  for (const file of [...left(dead), ...left(process.pid)]) writeFileSync(file, 'half');
  mkdirSync(join(hidden, '.account.yaml.999999999.new'));
  const { length } = readdirSync(hidden);
  for (const words of [
    ['grant', web1.name, '--to', web2.name],
    ['grow', web1.name, '200M'],
  ])
    t.match(await machine.run(words), { status: 0 }, words.join(' '));
  for (const file of left(dead)) t.notOk(existsSync(file), file);
  for (const file of left(process.pid)) t.ok(existsSync(file), 'of one that may still write it');
  t.equal(readdirSync(hidden).length, length - 1);
  for (const file of left(dead)) writeFileSync(file, 'half');
  t.match(await machine.run(['deprovision', web1.name, '--delete-data', '--yes']), { status: 0 });
  for (const file of left(dead)) t.notOk(existsSync(file), file);
});
