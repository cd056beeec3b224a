import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import t from 'tap';
import { installBakker } from './harness/bakker.ts';
import { compareTrees } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { startSshd } from './harness/sshd.ts';

t.test('init, backup, restore: from nothing to a restored tree by commands alone', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount({ chroot: true });
  await using bakker = await installBakker();
  const source = `${bakker.folder}/data`;
  writeSampleTree(source, { files: 20 });
  const init = ['init', account.address, '--identity', account.identityFile, '--source', source, '--yes'];

  const wrong = await bakker.run([...init, '--host-key', `SHA256:${'A'.repeat(43)}`]);
  t.equal(wrong.status, 10, wrong.stderr);
  t.match(wrong.stderr, server.hostKeyFingerprint);
  t.match(wrong.stderr, /with --host-key$/m, 'there is no configuration yet to set it in');
  t.notOk(existsSync(bakker.configFile), 'nothing is written for a host that is not the one meant');
  const unknown = await bakker.run([...init, '--transport', 'openssh']);
  t.equal(unknown.status, 10, unknown.stderr);
  t.match(unknown.stderr, /say it with --host-key, or add it to your known_hosts$/m);
  const unasked = await bakker.run(init);
  t.not(unasked.status, 0, 'nobody is there to look at the fingerprint');
  t.match(unasked.stderr, server.hostKeyFingerprint);

  const made = await bakker.run([...init, '--host-key', server.hostKeyFingerprint]);
  t.equal(made.status, 0, made.stderr);
  t.match(made.stdout, /backup/, 'says the next step');
  const text = readFileSync(bakker.configFile, 'utf8');
  t.match(text, server.hostKeyFingerprint);
  t.match(text, /^#/m, 'is commented');
  t.same(
    readdirSync(account.folder).filter((name) => name !== '.bakker'),
    [],
    'the trial left nothing',
  );

  const again = await bakker.run([...init, '--host-key', server.hostKeyFingerprint]);
  t.equal(again.status, 0, again.stderr);
  t.equal(readFileSync(bakker.configFile, 'utf8'), text, 'running it again changes nothing that works');

  t.equal((await bakker.run(['backup'])).status, 0);
  t.equal((await bakker.run(['init', account.address, '--yes', '--accept-host-key'])).status, 0);
  const restored = await bakker.run(['restore', '--from', 'latest', '--to', `${bakker.folder}/out`]);
  t.equal(restored.status, 0, restored.stderr);
  t.same(await compareTrees(source, `${bakker.folder}/out${source}`), []);
});

t.test('init makes a key that nobody else can read, and says where its public half goes', async (t) => {
  await using server = await startSshd();
  const account = await server.addAccount({ authorised: false });
  await using bakker = await installBakker();
  const source = `${bakker.folder}/data`;
  writeSampleTree(source, { files: 2 });
  const init = ['init', account.address, '--accept-host-key', '--source', source, '--yes'];
  const first = await bakker.run(init, { env: { HOME: bakker.folder } });
  t.equal(first.status, 10, first.stderr);
  const publicKey = /ssh-ed25519 AAAA[A-Za-z0-9+/=]+/.exec(first.stdout + first.stderr)?.[0];
  t.ok(publicKey, 'shows the line for authorized_keys');
  await account.authorise([publicKey ?? '']);
  const second = await bakker.run(init);
  t.equal(second.status, 0, second.stderr);
  const identity = /^identity: (.*)$/m.exec(readFileSync(bakker.configFile, 'utf8'))?.[1] ?? '';
  t.equal(statSync(identity.replaceAll('"', '')).mode & 0o777, 0o600);
  t.match(readFileSync(`${identity.replaceAll('"', '')}.pub`, 'utf8'), publicKey);
  t.equal((await bakker.run(['backup'])).status, 0);

  rmSync(identity.replaceAll('"', ''));
  const lost = await bakker.run(['backup', '--force']);
  t.equal(lost.status, 10, lost.stderr);
  t.match(lost.stderr, /is not there\n {2}bring it back, run `bakker .*init ACCOUNT` to make a key/);
  const anew = await bakker.run(['init', account.address]);
  t.equal(anew.status, 10, 'the storage does not know the new key');
  const newKey = /ssh-ed25519 AAAA[A-Za-z0-9+/=]+/.exec(anew.stderr)?.[0] ?? '';
  t.not(newKey, publicKey, 'the key whose private half is lost is not shown again');
  await account.authorise([newKey]);
  t.equal((await bakker.run(['init', account.address])).status, 0);
  t.equal((await bakker.run(['backup', '--force'])).status, 0);
});

t.test(
  'init makes the folder of an account that is missing, and says which paths it can not make',
  async (t) => {
    await using server = await startSshd();
    const account = await server.addAccount();
    await using bakker = await installBakker();
    const source = `${bakker.folder}/data`;
    writeSampleTree(source, { files: 2 });
    const flags = ['--identity', account.identityFile, '--accept-host-key', '--source', source, '--yes'];
    const nowhere = await bakker.run(['init', `${account.address}/no/parent`, ...flags]);
    t.equal(nowhere.status, 13, nowhere.stderr);
    t.match(
      nowhere.stderr,
      /host:path at the folder that the login starts in; bakker .*init makes its last folder/,
    );
    t.notOk(existsSync(`${account.folder}/no`));

    const made = await bakker.run(['init', `${account.address}/runs`, ...flags]);
    t.equal(made.status, 0, made.stderr);
    t.equal(statSync(`${account.folder}/runs`).mode & 0o777, 0o700);
    t.equal((await bakker.run(['backup'])).status, 0);

    chmodSync(`${account.folder}/runs`, 0o500);
    const closed = await bakker.run(['doctor']);
    t.equal(closed.status, 13, 'doctor tries a folder where runs get theirs');
    t.match(closed.stdout, /FAIL +storage.*Permission denied/);
    chmodSync(`${account.folder}/runs`, 0o700);

    rmSync(`${account.folder}/runs`, { recursive: true });
    const lost = await bakker.run(['backup', '--force']);
    t.equal(lost.status, 13, 'a backup never makes it: a misspelt path would become a new account');
    t.notOk(existsSync(`${account.folder}/runs`));
    t.equal((await bakker.run(['init', `${account.address}/runs`, '--yes'])).status, 0, 'the hint helps');
    t.equal((await bakker.run(['backup', '--force', '--allow-empty'])).status, 0);
  },
);

t.test('init takes a local folder too', async (t) => {
  await using bakker = await installBakker();
  const source = `${bakker.folder}/data`;
  writeSampleTree(source, { files: 2 });
  const storage = `${bakker.folder}/disk/storage`;
  const onFile = await bakker.run(['init', `${source}/folder 0/file 1`, '--source', '/etc', '--yes']);
  t.equal(onFile.status, 13);
  t.match(onFile.stderr, /file 1 can't be made: something else is there$/m);
  const made = await bakker.run(['init', storage, '--source', source, '--source', `${source}/*`, '--yes']);
  t.equal(made.status, 0, made.stderr);
  t.notMatch(made.stderr, /is not there/);
  t.equal((await bakker.run(['backup'])).status, 0);
});

t.test('init says at once that a source is not there', async (t) => {
  await using bakker = await installBakker();
  const source = `${bakker.folder}/data`;
  const storage = `${bakker.folder}/storage`;
  const made = await bakker.run(['init', storage, '--source', '/etc', '--source', source, '--yes']);
  t.equal(made.status, 0, made.stderr);
  t.match(made.stderr, `--source ${source} is not there: bakker backup refuses to run until it is`);
  t.notMatch(made.stderr, '--source /etc');
  t.equal((await bakker.run(['backup'])).status, 1);
});
