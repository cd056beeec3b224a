import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { compareTrees } from '../harness/compare-trees.ts';
import { writeSampleTree } from '../harness/sample-tree.ts';
import { makeSealedWorld } from '../harness/sealed-world.ts';
import { makeWorld } from '../harness/world.ts';

const KEY = 12;
const USAGE = 2;

t.test('what can not be opened ends with 12 and one sentence', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'content');
  await world.backup();
  const { folder } = world.bakker;
  const other = await world.makeKey('other.key');
  const damaged = `${folder}/damaged.key`;
  writeFileSync(
    damaged,
    readFileSync(world.keyFile, 'utf8').replace(/.\n$/, (end) => (end.startsWith('a') ? 'b\n' : 'a\n')),
  );
  const words = `${folder}/passphrase`;
  writeFileSync(words, 'open sesame\n');
  const guarded = `${folder}/elsewhere/guarded.key`;
  const made = await world.expect(['key', 'generate', '--out', guarded, '--passphrase-file', words]);
  await world.expect(['key', 'add', made.stdout.trim().split('\n').at(-1) ?? '', '--name', 'guarded']);
  const { run } = await world.backup();

  const to = `${folder}/out`;
  const readers: readonly (readonly string[])[] = [
    ['restore', '--to', to],
    ['cat', 'latest', `${world.source}/file`],
    ['ls', 'latest'],
    ['find', 'file'],
    ['history', `${world.source}/file`],
    ['diff', 'latest', 'latest'],
    ['verify'],
    ['verify', '--data'],
  ];
  for (const args of readers) {
    const { stderr } = await world.expect(args, KEY);
    t.match(stderr, /private key is needed/, `${args.join(' ')} without a key`);
    t.equal(stderr.split('\n').filter((line) => line.startsWith('bakker:')).length, 1);
  }
  for (const [file, words] of [
    [other.file, /sealed for/],
    [damaged, /checksum/],
    [`${folder}/missing.key`, /there is no key file/],
    [world.bakker.configFile, /key/],
    [guarded, /passphrase/],
  ] as const) {
    const { stderr } = await world.expect(
      ['cat', 'latest', `${world.source}/file`, '--identity-key', file],
      KEY,
    );
    t.match(stderr, words, file);
  }
  const args = ['cat', 'latest', `${world.source}/file`];
  const wrong = { BAKKER_PASSPHRASE: 'open says me', BAKKER_IDENTITY_KEY_FILE: guarded };
  t.match((await world.expect(args, KEY, { env: wrong })).stderr, /passphrase/);

  for (const env of [
    { BAKKER_IDENTITY_KEY_FILE: guarded, BAKKER_PASSPHRASE: 'open sesame' },
    { BAKKER_IDENTITY_KEY_FILE: world.keyFile },
    { BAKKER_IDENTITY_KEY: readFileSync(world.keyFile, 'utf8') },
  ])
    t.equal((await world.expect(args, 0, { env })).stdout, 'content', Object.keys(env).join());
  mkdirSync(`${folder}/credentials`);
  writeFileSync(`${folder}/credentials/bakker-identity-key`, readFileSync(world.keyFile));
  t.equal(
    (await world.expect(args, 0, { env: { CREDENTIALS_DIRECTORY: `${folder}/credentials` } })).stdout,
    'content',
  );
  t.equal((await world.list()).at(-1)?.run, run, 'runs are listed without any');
});

t.test('without a key to seal to, nothing is sent', async (t) => {
  await using world = await makeWorld({ kind: 'local', config: { encrypt: true } });
  writeFileSync(`${world.source}/file`, 'content');
  const { stderr } = await world.expect(['backup'], KEY);
  t.match(stderr, /no key in .*recipients to seal to/);
  t.same(await world.list(), []);
  t.match((await world.expect(['status'], 1)).stdout, /exit status 12/);
});

t.test(
  'with another set of keys the next run is sealed anew, whole, and linked to again after it',
  async (t) => {
    await using world = await makeSealedWorld({ kind: 'shell', hideNames: true });
    writeSampleTree(world.source, { files: 60 });
    const first = await world.backup();
    const other = await world.makeKey('other.key');
    const withOther = ['--identity-key', other.file];

    await world.expect(['key', 'add', other.publicKey, '--name', 'other']);
    const second = await world.backup();
    t.match(second.warnings.join('\n'), /not sealed to the same keys/);
    t.equal(second.bytes.sent, first.bytes.sent);
    t.same(
      await compareTrees(world.source, await world.restore('latest', withOther)),
      [],
      'the new key opens all of it',
    );
    t.same(await compareTrees(world.source, await world.restoreSealed()), [], 'and so does the old one');
    await world.expect(['ls', first.run ?? '', ...withOther], KEY);
    const third = await world.backup();
    t.match(third, { warnings: { length: 0 }, bytes: { sent: 0 } });

    const next = await world.makeKey('next.key');
    await world.expect(['key', 'rotate', 'mine', next.publicKey]);
    await world.expect(['key', 'remove', 'other']);
    const fourth = await world.backup();
    t.equal(fourth.bytes.sent, first.bytes.sent);
    await world.expect(['ls', 'latest', ...world.key], KEY);
    await world.expect(['ls', 'latest', ...withOther], KEY);
    const withNext = ['--identity-key', next.file];
    const target = await world.restore('latest', withNext);
    t.same(await compareTrees(world.source, target), []);
    t.same(
      await compareTrees(world.source, await world.restoreSealed(first.run ?? '')),
      [],
      'the past is as it was',
    );
    const some = await world.expect(['verify', '--data', '--json', ...withNext], KEY);
    t.match(
      JSON.parse(some.stdout),
      { runs: [{ run: fourth.run, damaged: { length: 0 } }], unopened: [first.run, second.run, third.run] },
      'what a key opens is looked at',
    );
    const found = await world.expect(['find', 'file 1', '--json', ...withNext]);
    t.equal(
      found.json<{ run: string }[]>().at(0)?.run,
      fourth.run,
      'nor does a key that is lost stop a search',
    );
    t.match(found.stderr, `${third.run}.impl: it is sealed for`);
    const history = await world.expect(['history', `${world.source}/folder 0/file 1`, '--json', ...withNext]);
    t.same(
      history.json<{ change: string }[]>().map(({ change }) => change),
      ['unopened', 'unopened', 'unopened', 'first'],
    );
    const fifth = await world.makeKey('fifth.key');
    for (const args of [
      ['find', 'file 1'],
      ['history', `${world.source}/folder 0/file 1`],
    ]) {
      const { stderr } = await world.expect([...args, '--identity-key', fifth.file], KEY);
      t.match(stderr, /bakker: 20.* sealed for/, 'a key that opens nothing finds nothing');
    }
    const { stdout } = await world.expect(['verify', '--from', 'latest', ...withNext]);
    t.match(stdout, `${fourth.run}: sound`);
    await world.expect(['verify', '--from', first.run ?? '', ...withNext], KEY);
    const all = await world.verify(['--data', ...withNext, ...world.key]);
    t.same([all.runs.length, all.runs.flatMap(({ damaged }) => damaged)], [4, []], 'a key for each run');
  },
);

t.test('an account that was clear is sealed from the next run on, and the other way round', async (t) => {
  for (const kind of ['local', 'shell'] as const) {
    await using world = await makeSealedWorld({ kind, hideNames: true });
    await world.configure({ encrypt: false });
    writeSampleTree(world.source, { files: 60 });
    const clear = await world.backup();
    await world.configure({ encrypt: true });
    const sealed = await world.backup();
    t.match(sealed.warnings.join('\n'), /is not sealed: everything is sealed and sent anew/);
    t.equal(sealed.bytes.sent, clear.bytes.sent);
    await world.configure({ encrypt: { 'hide-names': true } });
    const hidden = await world.backup();
    t.match(
      hidden,
      { warnings: { length: 0 }, bytes: { sent: 0 } },
      'content is the same under hidden names',
    );
    await world.configure({ encrypt: true });
    t.match(
      await world.backup(),
      { warnings: { length: 0 }, bytes: { sent: 0 } },
      'and under clear ones again',
    );
    await world.configure({ encrypt: false });
    const refused = await world.expect(['backup'], USAGE);
    t.match(refused.stderr, /is sealed, .* nothing was sent/);
    t.equal((await world.list()).length, 4, 'nothing lies open by mistake');
    const again = await world.backup(['--allow-clear']);
    t.match(again.warnings.join('\n'), /is sealed, and the configuration does not say encrypt/);
    t.equal(again.bytes.sent, clear.bytes.sent);

    const file = (run: string | null) =>
      statSync(`${world.storage}/${run ?? ''}${world.source}/folder 0/file 1`);
    t.not(file(clear.run).ino, file(sealed.run).ino);
    t.not(file(sealed.run).ino, file(again.run).ino);
    t.not(file(clear.run).ino, file(again.run).ino, 'nothing of what lies between is known any more');
    for (const run of await world.list())
      t.same(await compareTrees(world.source, await world.restoreSealed(run.run)), [], `${kind} ${run.run}`);
    const { runs } = await world.verify(['--data', ...world.key]);
    t.equal(runs.length, 5);

    // once more: the runs that lie open were meant, and stay this server's own
    const open = await world.backup();
    await world.configure({ encrypt: true });
    await world.backup();
    for (const { run } of [again, open])
      t.same(
        await compareTrees(world.source, await world.restoreSealed(run ?? '')),
        [],
        `${kind} ${run ?? ''}`,
      );
    t.equal((await world.verify(['--data', ...world.key])).runs.length, 7);
  }
});

t.test('a server that lost what it kept compares by reading, or with a private key as ever', async (t) => {
  await using world = await makeSealedWorld({ kind: 'shell', hideNames: true });
  writeSampleTree(world.source, { files: 60 });
  const first = await world.backup();
  const kept = `${world.bakker.stateDir}/kept`;

  rmSync(kept, { recursive: true });
  await world.configure({ encrypt: false });
  const forgotten = await world.expect(['backup'], USAGE);
  t.match(forgotten.stderr, /does not say encrypt/, 'a configuration that was written anew sends nothing');
  await world.configure({ encrypt: { 'hide-names': true } });
  const byReading = await world.backup();
  t.match(byReading.warnings.join('\n'), /is sealed, its copy is not kept here/);
  t.equal(byReading.bytes.sent, 0, 'content that is known to be there is linked');
  t.match(await world.backup(), { warnings: { length: 0 }, files: { unchanged: 60 } });

  rmSync(kept, { recursive: true });
  t.match(
    await world.backup(world.key),
    { warnings: { length: 0 }, files: { unchanged: 60 } },
    'a private key opens it',
  );

  rmSync(world.bakker.stateDir, { recursive: true });
  const withKey = await world.backup(world.key);
  t.match(withKey, { warnings: { length: 0 }, files: { unchanged: 60 } });
  const nameKeyOf = (run: string | null) => world.unsealManifest(run ?? '')[0]?.['nameKey'];
  t.equal(nameKeyOf(withKey.run), nameKeyOf(first.run), 'the name key came back, too');

  rmSync(world.bakker.stateDir, { recursive: true });
  const fromNothing = await world.backup();
  t.equal(fromNothing.bytes.sent, first.bytes.sent, 'nobody knows what is there: everything is sent again');
  t.not(nameKeyOf(fromNothing.run), nameKeyOf(first.run));
  t.same(await compareTrees(world.source, await world.restoreSealed()), []);
  await world.verify(['--data', ...world.key]);
});

t.test('a key that the server keeps for itself is found', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  writeFileSync(`${world.source}/file`, 'content');
  await world.backup();
  writeFileSync(`${world.bakker.folder}/etc/identity.key`, readFileSync(world.keyFile), { mode: 0o600 });
  t.equal((await world.expect(['cat', 'latest', `${world.source}/file`])).stdout, 'content');
});
