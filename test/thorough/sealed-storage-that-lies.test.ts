import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import t from 'tap';
import { encodeManifest } from '@bakker/impl-format';
import type { Entry, ManifestHeader } from '@bakker/impl-format';
import { compareTrees } from '../harness/compare-trees.ts';
import { pseudoRandomBytes } from '../harness/sample-tree.ts';
import { makeWorld } from '../harness/world.ts';
import { makeSealedWorld, tamper, type SealedWorld } from '../harness/sealed-world.ts';

const MIB = 1024 * 1024;
const DAMAGED = 15;
const MANIFEST_DAMAGED = 1;

/** A run with a small, a medium and a large file, each of the same size as another one. */
async function makeRun(world: SealedWorld, seed: string, args: readonly string[] = []): Promise<string> {
  for (const [name, sizeBytes] of [
    ['small', 5000],
    ['medium', 2 * MIB],
    ['large', 9 * MIB],
  ] as const)
    for (const twin of [1, 2])
      writeFileSync(
        `${world.source}/${name} ${twin}`,
        pseudoRandomBytes(`${seed} ${name} ${twin}`, sizeBytes),
      );
  return (await world.backup(args)).run ?? '';
}

/** What `verify --data` and `restore` call damaged. */
async function damagedIn(
  world: SealedWorld,
  run: string,
): Promise<{ verified: string[]; restored: string[] }> {
  const names = (items: readonly { path: string }[]) =>
    items.map(({ path }) => path.slice(world.source.length + 1)).sort();
  const { runs } = await world.verify(['--from', run, '--data', ...world.key], DAMAGED);
  const to = `${world.bakker.folder}/damaged`;
  const restored = await world.expect(
    ['restore', '--from', run, '--to', to, '--json', ...world.key],
    DAMAGED,
  );
  rmSync(to, { recursive: true });
  const { damaged } = restored.json<{ damaged: { path: string }[] }>();
  return { verified: names(runs[0]?.damaged ?? []), restored: names(damaged) };
}

t.test('what is altered, cut, longer or swapped is noticed, and nothing else', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const run = await makeRun(world, 'first');
  const at = (name: string) => `${world.storage}/${run}${world.source}/${name}`;
  const cases: readonly { why: string; names: readonly string[]; lie: (name: string) => void }[] = [
    {
      why: 'a bit is another',
      names: ['small 1', 'medium 1', 'large 1'],
      lie: (name) => tamper(at(name), flipped),
    },
    {
      why: 'the end is missing',
      names: ['small 1', 'medium 1', 'large 1'],
      lie: (name) => tamper(at(name), (bytes) => bytes.subarray(0, -100)),
    },
    {
      why: 'something follows',
      names: ['small 1', 'medium 1', 'large 1'],
      lie: (name) => tamper(at(name), (bytes) => Buffer.concat([bytes, Buffer.alloc(70_000)])),
    },
    {
      why: 'it is empty',
      names: ['small 1', 'large 1'],
      lie: (name) => tamper(at(name), () => Buffer.alloc(0)),
    },
    {
      why: 'it is in the clear',
      names: ['small 1', 'large 1'],
      lie: (name) => tamper(at(name), () => readFileSync(`${world.source}/${name}`)),
    },
    {
      why: 'it is another file of the run',
      names: ['small 1', 'medium 1', 'large 1'],
      lie: (name) => tamper(at(name), () => readFileSync(at(name.replace('1', '2')))),
    },
    { why: 'it is not there', names: ['small 1', 'large 1'], lie: (name) => unlinkSync(at(name)) },
  ];
  for (const { why, names, lie } of cases) {
    const before = new Map(names.map((name) => [name, readFileSync(at(name))]));
    for (const name of names) lie(name);
    const { verified, restored } = await damagedIn(world, run);
    t.same(verified, [...names].sort(), `verify: ${why}`);
    t.same(restored, [...names].sort(), `restore: ${why}`);
    const cat = await world.bakker.run(['cat', run, `${world.source}/${names[0] ?? ''}`, ...world.key]);
    t.equal(cat.status, DAMAGED, `cat: ${why}`);
    t.equal(
      cat.stdoutBytes.length < 5000 || why === 'it is another file of the run',
      true,
      `cat: ${why}: nothing of it`,
    );
    for (const [name, bytes] of before) {
      rmSync(at(name), { force: true });
      writeFileSync(at(name), bytes);
    }
  }
  t.same(await compareTrees(world.source, await world.restoreSealed()), [], 'mended, all is well');
});

t.test("an older run's file, or chunk, in the place of a newer one's is noticed", async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  const second = await makeRun(world, 'second');
  const at = (run: string, name: string) => `${world.storage}/${run}${world.source}/${name}`;
  for (const name of ['small 1', 'large 2']) {
    rmSync(at(second, name));
    copyFileSync(at(first, name), at(second, name));
  }
  const { verified, restored } = await damagedIn(world, second);
  t.same(verified, ['large 2', 'small 1']);
  t.same(restored, ['large 2', 'small 1']);
});

t.test('a manifest that was altered, or is of another run, is not used', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  const second = await makeRun(world, 'second');
  const manifest = (run: string) => `${world.storage}/${run}.impl`;
  const good = readFileSync(manifest(second));
  const elsewhere = `${world.bakker.folder}/state-of-the-server`;
  const to = `${world.bakker.folder}/no`;
  for (const [why, bytes] of [
    ['altered', flipped(good)],
    ['cut', good.subarray(0, -1)],
    ['of the run before', readFileSync(manifest(first))],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    tamper(manifest(second), () => bytes);
    const args = ['restore', '--from', second, '--to', to, ...world.key];
    t.match((await world.expect(args, MANIFEST_DAMAGED)).stderr, new RegExp(second), `${why}, here`);
    renameSync(world.bakker.stateDir, elsewhere);
    t.match(
      (await world.expect(args, MANIFEST_DAMAGED)).stderr,
      new RegExp(second),
      `${why}, on a new machine`,
    );
    rmSync(world.bakker.stateDir, { recursive: true });
    renameSync(elsewhere, world.bakker.stateDir);
    const { runs } = await world.verify(['--data', ...world.key], DAMAGED);
    t.same(
      runs.map(({ damaged }) => damaged.length > 0),
      [false, true],
      why,
    );
  }
  tamper(manifest(second), () => good);
  await world.verify(['--data', ...world.key]);
});

t.test('a file that somebody had backed up is not taken for the manifest of a run', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  // he knows how the next run will be called, and works with the storage
  const next = first.replace(/_01$/, '_02');
  const planted = await manifestThatLies(next);
  writeFileSync(`${world.source}/planted.zst`, planted);
  t.equal((await world.backup()).run, next);
  const stored = readFileSync(`${world.storage}/${next}${world.source}/planted.zst`);
  t.equal(stored.length, planted.length + 137, 'it is sealed as it is');
  const good = readFileSync(`${world.storage}/${next}.impl`);
  tamper(`${world.storage}/${next}.impl`, () => stored);

  // a new machine, with nothing but the private key
  rmSync(world.bakker.stateDir, { recursive: true });
  for (const words of [
    ['ls', next, '/'],
    ['restore', '--from', next, '--to', `${world.bakker.folder}/no`],
  ]) {
    const refused = await world.expect([...words, ...world.key], MANIFEST_DAMAGED);
    t.match(refused.stderr, new RegExp(`${next}.impl does not open: it is the content of a file`));
  }
  t.throws(() => world.unsealManifest(next), /it is the content of a file, and not a manifest/);

  // and the reverse
  tamper(`${world.storage}/${next}.impl`, () => good);
  tamper(`${world.storage}/${next}${world.source}/planted.zst`, () => good);
  t.same((await damagedIn(world, next)).restored, ['planted.zst']);
});

t.test('an older state of the account is noticed by whoever remembers a newer one', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  const before = `${world.bakker.folder}/before`;
  cpSync(world.storage, before, { recursive: true, verbatimSymlinks: true });
  const second = await makeRun(world, 'second');
  rmSync(world.storage, { recursive: true });
  cpSync(before, world.storage, { recursive: true, verbatimSymlinks: true });
  const warning = new RegExp(`shows ${first} as the newest run, but this server made ${second}`);
  for (const args of [
    ['list'],
    ['verify', ...world.key],
    ['restore', '--to', `${world.bakker.folder}/r`, ...world.key],
  ])
    t.match((await world.expect(args)).stderr, warning, args.join(' '));
  t.match((await world.backup()).warnings.join('\n'), warning);
  t.notMatch((await world.expect(['list'])).stderr, warning, 'said until there is a newer one');
});

t.test(
  'an older state under another name of the account is told, by what reads and by what writes',
  async (t) => {
    await using world = await makeSealedWorld({ kind: 'local' });
    await makeRun(world, 'first');
    const before = `${world.bakker.folder}/before`;
    cpSync(world.storage, before, { recursive: true, verbatimSymlinks: true });
    await makeRun(world, 'second');
    rmSync(world.storage, { recursive: true });
    cpSync(before, world.storage, { recursive: true, verbatimSymlinks: true });
    tamper(`${world.storage}/.bakker/id`, () => Buffer.from('0123456789abcdef0123456789abcdef\n'));
    const to = `${world.bakker.folder}/r`;
    for (const args of [['list'], ['verify', ...world.key], ['restore', '--to', to, ...world.key]])
      t.match((await world.expect(args)).stderr, /calls itself another account than the one/, args.join(' '));
    t.match((await world.backup()).warnings.join('\n'), /older state of the account/);
  },
);

t.test('a run that somebody else made up is not taken for one of this server', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  // who knows the public key can seal something to it; here with a state and a source of its own
  await using forger = await makeSealedWorld({ kind: 'local' });
  const publicKey = (await world.expect(['key', 'list'])).stdout.split(/\s+/)[1] ?? '';
  await forger.expect(['key', 'rotate', 'mine', publicKey]);
  const forged = (await makeRun(forger, 'forged')) || '';
  t.equal(forged, first, 'both are the first of today');

  tamper(`${world.storage}/${first}.impl`, () => readFileSync(`${forger.storage}/${forged}.impl`));
  const refused = await world.expect(['ls', first, '/', ...world.key], MANIFEST_DAMAGED);
  t.match(refused.stderr, /is not what this server had stored/);

  await forger.configure({ encrypt: false });
  const clear = (await makeRun(forger, 'in the clear', ['--allow-clear'])) || '';
  for (const name of [clear, `${clear}.impl`])
    cpSync(`${forger.storage}/${name}`, `${world.storage}/${name}`, { recursive: true });
  const result = await world.expect(
    ['restore', '--from', clear, '--to', `${world.bakker.folder}/no`, ...world.key],
    1,
  );
  t.match(
    result.stderr,
    new RegExp(`${clear} is not sealed, and this server has sealed every run since ${first}`),
  );
});

t.test('what this server remembers of its last run is not given up for what the storage shows', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  await using forger = await makeWorld({ kind: 'local' });
  writeFileSync(`${forger.source}/file`, 'forged');
  const { run } = await forger.backup();
  t.equal(run, first, 'both are the first of today');
  // in the clear, so that nobody has to know a key; begun just now, so that the next run seems not to be due
  tamper(`${world.storage}/${first}.impl`, () => readFileSync(`${forger.storage}/${first}.impl`));
  await world.configure({ interval: '20h' });
  const next = await world.backup();
  t.match(next.warnings.join('\n'), /is not what was written there/);
  t.match(next, { status: 'complete', parent: null });
  const { stderr } = await world.expect(['ls', first, '/', ...world.key], MANIFEST_DAMAGED);
  t.match(stderr, first);
});

t.test('a run in the middle that was exchanged, or is gone, shows by the run after it', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const first = await makeRun(world, 'first');
  const second = await makeRun(world, 'second');
  await using forger = await makeSealedWorld({ kind: 'local' });
  const publicKey = (await world.expect(['key', 'list'])).stdout.split(/\s+/)[1] ?? '';
  await forger.expect(['key', 'rotate', 'mine', publicKey]);
  t.equal(await makeRun(forger, 'forged'), first);

  // a new machine, with nothing but the private key
  rmSync(world.bakker.stateDir, { recursive: true });
  const sound = await world.expect(['verify', ...world.key]);
  t.notMatch(sound.stdout, /DAMAGED|gone/);
  for (const name of [first, `${first}.impl`]) {
    rmSync(`${world.storage}/${name}`, { recursive: true });
    cpSync(`${forger.storage}/${name}`, `${world.storage}/${name}`, { recursive: true });
  }
  const { runs } = await world.verify(['--data', ...world.key], DAMAGED);
  t.match(runs, [
    { run: first, damaged: { length: 0 } },
    { run: second, damaged: [{ path: `${second}.impl`, reason: new RegExp(`another ${first}.impl than`) }] },
  ]);
  const to = `${world.bakker.folder}/of-whom`;
  const restored = await world.expect(['restore', '--from', first, '--to', to, ...world.key]);
  t.match(restored.stderr, `restoring ${first} of ${hostname()}\n`, 'whose run it is shows');

  for (const name of [first, `${first}.impl`]) rmSync(`${world.storage}/${name}`, { recursive: true });
  const { stdout } = await world.expect(['verify', ...world.key]);
  t.match(
    stdout,
    new RegExp(`${second}: sound; .*; its parent ${first} is gone`),
    'as retention leaves it, too',
  );
});

t.test('a time that the storage wrote beside a run does not make an older one of it', async (t) => {
  await using world = await makeSealedWorld({ kind: 'local' });
  const runs: string[] = [];
  for (const text of ['first', 'second']) {
    writeFileSync(`${world.source}/file`, text);
    runs.push((await world.backup()).run ?? '');
  }
  const now = new Date().toISOString();
  const shown = async () => (await world.expect(['cat', now, `${world.source}/file`, ...world.key])).stdout;
  t.equal(await shown(), 'second');
  tamper(`${world.storage}/.bakker/receipts/${runs[1]}.json`, (bytes) => {
    const receipt = JSON.parse(bytes.toString());
    return Buffer.from(JSON.stringify({ ...receipt, startedAtMs: receipt.startedAtMs + 86_400_000 }));
  });
  t.equal(await shown(), 'second');
  tamper(`${world.storage}/${runs[1]}.impl`, (bytes) => bytes.subarray(0, -1));
  const refused = await world.expect(['cat', now, `${world.source}/file`, ...world.key], MANIFEST_DAMAGED);
  t.match(refused.stderr, `${runs[1]}.impl`, 'nor is it passed over');
  tamper(`${world.storage}/${runs[0]}.impl`, (bytes) => bytes.subarray(0, -1));
  const history = await world.expect(['history', `${world.source}/file`, ...world.key]);
  t.equal(history.stdout.match(/manifest damaged/g)?.length, 2, 'nobody says that no run has it');
});

/** A true manifest, which says that the run holds one link. */
async function manifestThatLies(run: string): Promise<Buffer> {
  const header: ManifestHeader = {
    run,
    parent: null,
    parentDigest: null,
    host: 'web1',
    agent: '0.1.0',
    startedAtMs: 0,
    sources: [Buffer.from('/')],
    filesystems: [{ mountPoint: Buffer.from('/'), type: 'ext4' }],
  };
  const link: Entry = {
    path: Buffer.from('planted'),
    type: 'symlink',
    target: Buffer.from('/etc'),
    sizeBytes: 0,
    mode: 0o777,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    ctimeNs: 0n,
    inode: 1n,
    filesystem: 0,
    linkCount: 1,
    stored: { kind: 'manifest' },
  };
  async function* batches(): AsyncGenerator<readonly Entry[]> {
    yield [link];
  }
  const finish = () => ({ finishedAtMs: 0, addedBytes: 0 });
  return Buffer.concat(await Array.fromAsync(encodeManifest(header, batches(), finish)));
}

/** One bit in the last quarter. */
function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(copy.length * 0.8);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
