import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { descendantsOf, killAndWait } from '../../../../test/harness/processes.ts';
import { startStorageMachine } from '../../../../test/harness/storage-machine.ts';
import { linuxSystem } from '../../src/adapters/system/linux-system.ts';
import { StorageError } from '../../src/errors.ts';
import type { System } from '../../src/ports/system.ts';
import { parseAccountName } from '../../src/provision/account-name.ts';
import { deprovision } from '../../src/provision/deprovision.ts';
import { readPlaces } from '../../src/provision/places.ts';
import type { ProvisionTools } from '../../src/provision/provision.ts';
import { parsePublicKeys } from '../../src/provision/public-key.ts';
import { revoke } from '../../src/provision/sharing.ts';

const machine = await startStorageMachine();
t.teardown(() => machine[Symbol.asyncDispose]());

interface Account {
  readonly name: string;
  readonly key: { readonly file: string; readonly publicKey: string };
}

async function account(): Promise<Account> {
  const name = machine.newName();
  const key = await machine.newKey();
  const made = await machine.run(['provision', name, '--key', key.publicKey]);
  if (made.status !== 0) throw new Error(made.stderr);
  return { name, key };
}

/** web1, which web2 may read. */
async function granted(): Promise<{ web1: Account; web2: Account }> {
  const web1 = await account();
  const web2 = await account();
  const { status, stderr } = await machine.run(['grant', web1.name, '--to', web2.name]);
  if (status !== 0) throw new Error(stderr);
  return { web1, web2 };
}

interface Session {
  isAlive(): Promise<boolean>;
  /** Waits for its end. */
  hasEnded(): Promise<boolean>;
}

/** A process of the account's user, as each of its sessions is one. */
function session(t: Test, { name }: Account): Session {
  const uid = execFileSync('id', ['-u', name]).toString().trim();
  const child = spawn('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'sleep', '1000'], {
    stdio: 'ignore',
  });
  const exit = once(child, 'exit').then(() => true);
  t.teardown(() => child.kill('SIGKILL'));
  return {
    isAlive: () => Promise.race([exit.then(() => false), delay(200, true)]),
    hasEnded: () => Promise.race([exit, delay(3000, false)]),
  };
}

async function toolsWith(faults: Partial<System>): Promise<ProvisionTools> {
  const system = { ...linuxSystem(), ...faults };
  return {
    registry: { system, places: await readPlaces(system, machine.etc) },
    signal: new AbortController().signal,
    note: () => undefined,
  };
}

const stuck: Partial<System> = {
  endProcessesOf: () => Promise.reject(new StorageError('FAILED', 'processes do not end')),
};

/** All that comes after the record is not done any more, as if the process was killed there. */
function killedAfterRecord(): Partial<System> {
  let isDead = false;
  return {
    writeText: async (path, ...rest) => {
      if (isDead) throw new StorageError('FAILED', 'killed');
      await linuxSystem().writeText(path, ...rest);
      isDead = path.includes('/accounts/');
    },
  };
}

async function mayLogIn(as: Account, { key }: Account): Promise<boolean> {
  const { stderr } = await machine.ssh(as.name, key.file, { input: '' });
  return !stderr.includes('Permission denied');
}

const record = ({ name }: Account): string =>
  readFileSync(join(machine.etc, 'accounts', `${name}.yaml`), 'utf8');

t.test('a container where the number is another user is no session', async (t) => {
  const web = await account();
  const uid = execFileSync('id', ['-u', web.name]).toString().trim();
  const own = session(t, web);
  const inside = ['setpriv', `--reuid=${uid}`, '--clear-groups', 'sleep', '1000'];
  const container = spawn('unshare', ['--pid', '--fork', '--kill-child', ...inside], { stdio: 'ignore' });
  // setpriv makes --kill-child forget its signal: what is inside would stay, and keep the number from others
  const { pid } = container;
  if (pid === undefined) throw new Error('unshare did not start');
  t.teardown(async () => killAndWait([...(await descendantsOf(pid)), pid]));
  await delay(300);
  t.equal((await machine.run(['deprovision', web.name])).status, 0);
  t.equal(await own.hasEnded(), true);
  t.equal(container.exitCode ?? container.signalCode, null);
});

t.test('revoking a key ends its sessions in accounts that were granted to it, too', async (t) => {
  const { web1, web2 } = await granted();
  const other = await account();
  const sessions = [session(t, web1), session(t, web2)];
  const bystander = session(t, other);
  const { status, stderr } = await machine.run(['revoke', web2.name, '--key', web2.key.publicKey]);
  t.equal(status, 0, stderr);
  for (const each of sessions) t.ok(await each.hasEnded());
  t.notOk(await mayLogIn(web1, web2));
  t.ok(await bystander.isAlive(), 'whom it did not open');
  t.notMatch(record(web2), 'ending');
});

t.test('taking reading away ends the sessions that have it, and a second call none', async (t) => {
  const web1 = await account();
  const reading = session(t, web1);
  t.equal((await machine.run(['provision', web1.name])).status, 0);
  t.ok(await reading.isAlive());
  const { status, stderr } = await machine.run(['provision', web1.name, '--no-read']);
  t.equal(status, 0, stderr);
  t.ok(await reading.hasEnded());
  const writing = session(t, web1);
  t.equal((await machine.run(['provision', web1.name, '--no-read'])).status, 0);
  t.ok(await writing.isAlive());
});

t.test('closing an account ends its sessions in accounts that were granted to it, too', async (t) => {
  const { web1, web2 } = await granted();
  const sessions = [session(t, web1), session(t, web2)];
  t.equal((await machine.run(['deprovision', web2.name])).status, 0);
  for (const each of sessions) t.ok(await each.hasEnded());
});

t.test('a revocation whose sessions did not end is completed by the second', async (t) => {
  const { web1, web2 } = await granted();
  const sessions = [session(t, web1), session(t, web2)];
  const [key] = parsePublicKeys(web2.key.publicKey, 'test');
  if (key === undefined) throw new Error('no key');
  const request = { name: parseAccountName(web2.name), revoked: [{ to: 'key', key } as const] };
  await t.rejects(revoke(request, await toolsWith(stuck)), { message: 'processes do not end' });
  t.notOk(await mayLogIn(web1, web2), 'the key opens nothing any more');

  const unknown = (await machine.newKey()).publicKey;
  const mistaken = await machine.run(['revoke', web2.name, '--key', unknown]);
  t.equal(mistaken.status, 1, 'a key that was never there is a mistake all the same');
  for (const each of sessions) t.ok(await each.isAlive());

  const again = await machine.run(['revoke', web2.name, '--key', web2.key.publicKey]);
  t.equal(again.status, 0, again.stderr);
  for (const each of sessions) t.ok(await each.hasEnded());
  t.equal(
    (await machine.run(['revoke', web2.name, '--key', web2.key.publicKey])).status,
    1,
    'now there is no such key',
  );
});

t.test('a revocation that was killed before the key files is completed by the second', async (t) => {
  const { web1, web2 } = await granted();
  const name = parseAccountName(web1.name);
  const revoked = [{ to: 'account', name: parseAccountName(web2.name) } as const];
  await t.rejects(revoke({ name, revoked }, await toolsWith(killedAfterRecord())));
  t.ok(await mayLogIn(web1, web2), 'it is open still');
  const reading = session(t, web1);
  const again = await machine.run(['revoke', web1.name, '--to', web2.name]);
  t.equal(again.status, 0, again.stderr);
  t.notOk(await mayLogIn(web1, web2));
  t.ok(await reading.hasEnded());
});

t.test('a key that the record does not have any more, but a key file, can be revoked', async (t) => {
  const { web1, web2 } = await granted();
  const system = linuxSystem();
  const file = join(machine.etc, 'accounts', `${web2.name}.yaml`);
  const text = record(web2).replace(/keys:\n( {2}.*\n)+/, 'keys: []\n');
  await system.writeText(file, text, { mode: 0o600 });
  const reading = session(t, web1);
  const { status, stderr } = await machine.run(['revoke', web2.name, '--key', web2.key.publicKey]);
  t.equal(status, 0, stderr);
  t.notOk(await mayLogIn(web2, web2));
  t.notOk(await mayLogIn(web1, web2));
  t.ok(await reading.hasEnded());
});

t.test('a closing whose sessions did not end is completed by the second', async (t) => {
  const { web1, web2 } = await granted();
  const sessions = [session(t, web1), session(t, web2)];
  const request = { name: parseAccountName(web2.name), deletesData: false, isDryRun: false };
  await t.rejects(deprovision(request, await toolsWith(stuck)), { message: 'processes do not end' });
  const again = await machine.run(['deprovision', web2.name]);
  t.equal(again.status, 0, again.stderr);
  for (const each of sessions) t.ok(await each.hasEnded());

  const later = session(t, web1);
  const third = await machine.run(['deprovision', web2.name, '--json']);
  t.match(JSON.parse(third.stdout), { changed: false });
  t.ok(await later.isAlive(), 'which cannot have begun with a key of the closed account');
  const left = session(t, web2);
  t.match(JSON.parse((await machine.run(['deprovision', web2.name, '--json'])).stdout), { changed: true });
  t.ok(await left.hasEnded(), 'but nothing of the closed account goes on');
});
