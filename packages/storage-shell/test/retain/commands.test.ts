import t from 'tap';
import { setXattr } from '@bakker/linux';
import type { Verdict } from '@bakker/retention';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import type { CommandContext } from '../../src/cli/command.ts';
import { openPorts } from '../../src/adapters/open-ports.ts';
import { eachAccount } from '../../src/cli/each-account.ts';
import { StorageError } from '../../src/errors.ts';
import { SampleAccount, makeRoot } from './sample-account.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/bakker-storage');
/** tap follows every child by NODE_OPTIONS, and one who is not root can't write its notes. */
const PLAIN = ['-u', 'NODE_OPTIONS'];
const OLD_MS = Date.UTC(2020, 0, 1);

interface End {
  readonly status: number | null;
  readonly stderr: string;
  readonly stdout: string;
  readonly json: readonly Record<string, unknown>[];
}

function run(root: string, ...words: string[]): End {
  const { status, stdout, stderr } = spawnSync(
    'env',
    [...PLAIN, PROGRAM, ...words, '--root', root, '--json'],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  let json: End['json'] = [];
  if (stdout !== '') json = JSON.parse(stdout) as End['json'];
  return { status, stdout, stderr, json };
}

/** An account that belongs to a Unix user of its own. */
function owned(root: string, name: string, uid: number): SampleAccount {
  const account = new SampleAccount(root, name);
  account.policy('retention: {days: 1, instances: 1, months: 0, years: 0}\n');
  account.publish('2020_01_01_01', { files: { 'etc/a': name }, receivedAtMs: OLD_MS });
  account.publish('2020_01_02_01', {
    files: { 'etc/a': null },
    parent: '2020_01_01_01',
    receivedAtMs: OLD_MS + 1,
  });
  give(account.folder, uid);
  chmodSync(account.folder, 0o700);
  return account;
}

function give(folder: string, uid: number): void {
  spawnSync('chown', ['-hR', `${uid}:${uid}`, folder]);
}

t.test('root keeps each account in the name of its own user', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const [one, two] = [owned(root, 'one', 54_321), owned(root, 'two', 54_322)];
  const dry = run(root, 'retention', '--all', '--dry-run');
  t.equal(dry.status, 0, dry.stderr);
  t.match(dry.json, [
    { account: 'one', removed: ['2020_01_01_01'], frozen: null },
    { account: 'two', removed: ['2020_01_01_01'], frozen: null },
  ]);
  t.same(one.runs(), ['2020_01_01_01', '2020_01_02_01']);
  const done = run(root, 'retention', '--all');
  t.equal(done.status, 0, done.stderr);
  for (const [account, uid] of [
    [one, 54_321],
    [two, 54_322],
  ] as const) {
    t.same(account.runs(), ['2020_01_02_01']);
    t.equal(run(root, 'scrub', '--account', account.name).status, 0);
    for (const name of ['scrub', 'scrub/checked', 'trash'])
      t.equal(
        lstatSync(join(account.folder, '.bakker', name)).uid,
        uid,
        `${account.name}'s ${name} is its own`,
      );
  }
  t.match(run(root, 'undelete', 'one').json, [{ trash: [{ run: '2020_01_01_01' }] }]);
  t.equal(run(root, 'undelete', 'one', '2020_01_01_01').status, 0);
  t.same(one.runs(), ['2020_01_01_01', '2020_01_02_01']);
  t.end();
});

t.test('an account can not lead root to what is not its own', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const victim = owned(root, 'victim', 54_321);
  const hostile = owned(root, 'hostile', 54_322);
  const before = victim.snapshot();
  // As if its user had got a shell: its trash is another account's, and its lock is root's file.
  spawnSync('rm', ['-rf', join(hostile.folder, '.bakker/trash')]);
  symlinkSync(join(victim.folder), join(hostile.folder, '.bakker/trash'));
  const end = run(root, 'retention', '--account', 'hostile');
  t.not(end.status, 0);
  t.same(victim.snapshot(), before);
  t.same(hostile.runs(), ['2020_01_01_01', '2020_01_02_01']);
  t.end();
});

t.test('a trash is emptied when that is said, but not on a frozen account', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const account = owned(root, 'one', 54_321);
  t.match(run(root, 'retention', '--account', 'one').json, [
    { removed: ['2020_01_01_01'], deleted: { length: 0 } },
  ]);
  t.match(run(root, 'retention', '--account', 'one').json, [
    { removed: { length: 0 }, deleted: { length: 0 } },
  ]);
  const emptying = ['retention', '--account', 'one', '--empty-trash'];
  t.match(run(root, ...emptying, '--dry-run').json, [{ removed: { length: 0 }, deleted: ['2020_01_01_01'] }]);
  run(root, 'freeze', 'one', '--reason', 'looks odd');
  for (const words of [emptying, [...emptying, '--dry-run']])
    t.match(run(root, ...words).json, [{ deleted: { length: 0 }, frozen: /looks odd/ }]);
  t.not(account.trash().length, 0);
  run(root, 'thaw', 'one');
  t.match(run(root, ...emptying).json, [{ removed: { length: 0 }, deleted: ['2020_01_01_01'] }]);
  t.same(account.trash(), []);
  t.end();
});

t.test('one run is removed by name, and brought back', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const account = owned(root, 'one', 54_321);
  const newest = ['one', '2020_01_02_01'];
  run(root, 'freeze', 'one', '--reason', 'looks odd');
  const frozen = run(root, 'remove', ...newest);
  t.equal(frozen.status, 13);
  t.match(frozen.stderr, /one is frozen: no run of it is removed/);
  run(root, 'thaw', 'one');
  t.equal(account.runs().length, 2);

  t.same(run(root, 'remove', ...newest).json, [{ account: 'one', removed: '2020_01_02_01' }]);
  t.same(account.runs(), ['2020_01_01_01']);
  for (const entry of account.trash())
    t.equal(lstatSync(join(account.folder, '.bakker/trash', entry)).uid, 54_321, entry);
  const only = run(root, 'remove', 'one', '2020_01_01_01');
  t.equal(only.status, 1);
  t.match(only.stderr, /2020_01_01_01 is the only run/);
  const gone = run(root, 'remove', ...newest);
  t.equal(gone.status, 1);
  t.match(gone.stderr, /one has no run 2020_01_02_01/);
  t.equal(run(root, 'undelete', ...newest).status, 0);
  t.same(account.runs(), ['2020_01_01_01', '2020_01_02_01']);
  t.end();
});

t.test('freeze and thaw; one broken account does not stop the others', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const [broken, frozen, other] = [
    owned(root, 'a-broken', 54_321),
    owned(root, 'b-frozen', 54_322),
    owned(root, 'c-other', 54_323),
  ];
  writeFileSync(join(broken.folder, '.bakker/account.yaml'), 'retension: {days: 1}\n');
  chownSync(join(broken.folder, '.bakker/account.yaml'), 54_321, 54_321);
  t.equal(run(root, 'freeze', 'b-frozen', '--reason', 'looks odd').status, 0);
  const end = run(root, 'retention', '--all');
  t.equal(end.status, 2);
  t.match(
    end.stderr,
    /a-broken\/\.bakker\/account\.yaml has a problem:\n.*line 1: retension: unknown key; did you mean retention\?/,
  );
  const alone = ['retention', '--account', 'a-broken', '--root', root];
  const said = spawnSync('env', [...PLAIN, PROGRAM, ...alone], { encoding: 'utf8' });
  t.match(said, { status: 2, stdout: '' }, 'it was not that there was none');
  t.match(end.json, [
    { account: 'b-frozen', removed: { length: 0 }, frozen: /looks odd/ },
    { account: 'c-other', removed: ['2020_01_01_01'] },
  ]);
  t.equal(broken.runs().length + frozen.runs().length + other.runs().length, 5);
  t.match(run(root, 'thaw', 'b-frozen').json, [{ account: 'b-frozen', reason: 'looks odd' }]);
  t.equal(run(root, 'retention', '--account', 'b-frozen').status, 0);
  t.equal(frozen.runs().length, 1);
  t.end();
});

t.test('what is wrong with the files of an account is said, as no fault of the program', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  const root = disk.folder;
  chmodSync(root, 0o755);
  const account = owned(root, 'a-spoilt', 54_321);
  owned(root, 'b-other', 54_322);
  const trash = join(account.folder, '.bakker/trash');
  const removing = [
    ['retention', '--account', 'a-spoilt'],
    ['remove', 'a-spoilt', '2020_01_01_01'],
  ];
  const told = (words: string[], said: RegExp): void => {
    const { status, stderr } = run(root, ...words);
    t.match({ status, stderr }, { status: 2, stderr: said }, words.join(' '));
    t.notMatch(stderr, /unexpected|fault in bakker/);
    t.same(account.runs(), ['2020_01_01_01', '2020_01_02_01'], 'nothing went');
  };

  chownSync(trash, 0, 0);
  for (const words of removing) told(words, /a-spoilt: something in it is closed.*EACCES.*\n {2}look whose/);
  rmdirSync(trash);
  writeFileSync(trash, '');
  for (const words of removing) told(words, /a-spoilt: something else has the place.*ENOTDIR.*trash/);
  const all = run(root, 'retention', '--all');
  t.match(all, { status: 2, json: [{ account: 'b-other' }] }, 'the other had its turn');
  rmSync(trash);
  mkdirSync(trash);
  chownSync(trash, 54_321, 54_321);

  spawnSync('mount', ['-o', 'remount,ro', root]);
  const changing = [
    ['freeze', 'a-spoilt'],
    ['scrub', '--account', 'a-spoilt'],
  ];
  for (const words of [...removing, ...changing]) told(words, /a-spoilt: its file system is read-only/);
  t.equal(run(root, 'usage', '--account', 'a-spoilt').status, 0, 'looking is possible');
  spawnSync('mount', ['-o', 'remount,rw', root]);
  t.match(run(root, 'retention', '--all').json, [{ removed: ['2020_01_01_01'] }, {}]);
});

t.test('a run whose manifest can not move stays where it is', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  chmodSync(disk.folder, 0o755);
  const account = owned(disk.folder, 'one', 54_321);
  const before = account.snapshot();
  const manifest = join(account.folder, '2020_01_01_01.impl');
  spawnSync('chattr', ['+i', manifest]);
  for (const words of [
    ['remove', 'one', '2020_01_01_01'],
    ['retention', '--account', 'one'],
  ]) {
    const { status, stderr } = run(disk.folder, ...words);
    t.match({ status, stderr }, { status: 2, stderr: /2020_01_01_01.*impl/ });
    t.same(account.snapshot(), before);
  }
  spawnSync('chattr', ['-i', manifest]);
  t.equal(run(disk.folder, 'remove', 'one', '2020_01_01_01').status, 0);
  t.equal(run(disk.folder, 'undelete', 'one', '2020_01_01_01').status, 0);
  t.same(account.snapshot(), before);
});

t.test('a run that can not be deleted does not keep the others', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  chmodSync(disk.folder, 0o755);
  const account = owned(disk.folder, 'one', 54_321);
  for (const day of ['03', '04', '05']) {
    const parent = account.runs().at(-1) ?? '';
    const files = { 'etc/a': null, 'etc/b': day };
    account.publish(`2020_01_${day}_01`, { files, parent, receivedAtMs: OLD_MS + Number(day) });
  }
  give(account.folder, 54_321);
  const within = join(account.folder, '2020_01_03_01/etc/b');
  // Its folder moves with it, its file can't be removed.
  spawnSync('chattr', ['+i', within, join(account.folder, '2020_01_02_01')]);
  const emptying = ['retention', '--account', 'one', '--empty-trash'];
  const first = run(disk.folder, ...emptying);
  t.match(first, { status: 2, stderr: /EPERM.*2020_01_02_01/ });
  t.same(account.runs(), ['2020_01_02_01', '2020_01_05_01'], 'all went that can go');
  t.match(account.trash(), [/^2020_01_03_01\./], 'and all was deleted that can be');
  spawnSync('chattr', ['-R', '-i', account.folder]);
  t.match(run(disk.folder, ...emptying).json, [
    { removed: ['2020_01_02_01'], deleted: ['2020_01_02_01', '2020_01_03_01'] },
  ]);
  t.same(account.trash(), []);
});

t.test('nor does one that stays take the place of a run that is kept', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 32 << 20 });
  chmodSync(disk.folder, 0o755);
  const account = new SampleAccount(disk.folder, 'one');
  account.policy('retention: { days: 0, instances: 2, months: 0, years: 2 }\n');
  // The clock was wrong now and then; in order of the names, the third is of 2020 only while the fourth is there.
  const received = [2020, undefined, 2021, 2020, 2021, undefined, 2021];
  for (const [index, year] of received.entries()) {
    const receivedAtMs = year === undefined ? 0 : Date.UTC(year, 5, 1);
    account.publish(`2019_01_0${index + 1}_01`, { files: { a: `${index}` }, receivedAtMs });
  }
  rmSync(join(account.folder, '2019_01_04_01.impl'));
  give(account.folder, 54_321);
  const stuck = ['2019_01_02_01', '2019_01_04_01'].map((name) => join(account.folder, name));
  spawnSync('chattr', ['+i', ...stuck]);
  const retire = ['retention', '--account', 'one'];
  const kept = (run(disk.folder, ...retire, '--dry-run').json as { verdicts: Verdict[] }[])[0]?.verdicts
    .filter(({ keep }) => keep)
    .map((verdict) => verdict.run)
    .sort();
  t.same(kept, ['2019_01_01_01', '2019_01_06_01', '2019_01_07_01']);
  t.equal(run(disk.folder, ...retire).status, 2);
  t.same(account.runs(), [
    '2019_01_01_01',
    '2019_01_02_01',
    '2019_01_03_01',
    '2019_01_04_01',
    '2019_01_06_01',
    '2019_01_07_01',
  ]);
  spawnSync('chattr', ['-i', ...stuck]);
  t.equal(run(disk.folder, ...retire).status, 0);
  t.same(account.runs(), kept);
});

t.test('pipes in the place of files hold no scrub', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const account = owned(root, 'one', 54_321);
  const pipe = (path: string): string => {
    rmSync(join(account.folder, path), { force: true });
    spawnSync('mkfifo', [join(account.folder, path)]);
    return path;
  };
  t.equal(run(root, 'scrub', '--account', 'one').status, 0);
  pipe('.bakker/scrub/checked');
  t.equal(run(root, 'scrub', '--account', 'one').status, 0);
  pipe('2020_01_01_01.impl');
  const hurt = run(root, 'scrub', '--account', 'one');
  t.match(hurt, { status: 15, json: [{ hurtManifests: ['2020_01_01_01'] }] });
  t.end();
});

t.test('one whose disk is dead does not stop the others', async (t) => {
  await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: 320 << 20 });
  // The file system itself is the account's folder, as a volume of its own is.
  const root = dirname(disk.folder);
  owned(root, basename(disk.folder), 54_321);
  const other = owned(root, 'other', 54_322);
  spawnSync('xfs_io', ['-x', '-c', 'shutdown', disk.folder]);
  for (const words of [['retention'], ['scrub'], ['retention', '--dry-run']]) {
    const end = run(root, ...words, '--all');
    t.not(end.status, 0);
    t.match(end.stderr, /mounted/, 'it is named');
    t.match(end.json, [{ account: 'other' }], words.join(' '));
  }
  t.same(other.runs(), ['2020_01_02_01']);
});

t.test('nor one that is gone when its turn comes', async (t) => {
  const gone = ['b-gone'];
  const outcomes = await eachAccount(
    {
      rootDir: '/nowhere',
      signal: new AbortController().signal,
      note: () => undefined,
      ports: {
        ...openPorts,
        owners: () =>
          Promise.resolve({
            list: () => ['a', 'b-gone', 'c'],
            isForeign: (_root: string, name: string) => {
              if (gone.includes(name)) throw new StorageError('NOT_FOUND', 'there is no account b-gone');
              return false;
            },
          }),
      },
    } as unknown as CommandContext,
    { all: true },
    { words: () => [], perform: (name) => Promise.resolve(name) },
  );
  t.same(outcomes, { results: ['a', 'c'], failures: [{ account: 'b-gone', exitStatus: 1 }] });
});

t.test('scrub ends with 15 when it found damage, and names it', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  const account = owned(root, 'one', 54_321);
  t.equal(run(root, 'scrub', '--all').status, 0);
  // What was stored was something else.
  const file = Buffer.from(join(account.folder, '2020_01_02_01/etc/a'));
  setXattr(file, { name: 'user.bakker.sha256', value: Buffer.alloc(32) });
  const end = run(root, 'scrub', '--all', '--sample', '100%');
  t.equal(end.status, 15);
  const names = ['2020_01_01_01', '2020_01_02_01'].map((name) => ({ run: name, path: 'etc/a' }));
  t.match(end.json, [{ account: 'one', hurt: [{ names }] }]);
  t.end();
});

t.test('usage tells each run and all together; words that make no sense are refused', (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o755);
  owned(root, 'one', 54_321);
  const { json } = run(root, 'usage', '--account', 'one');
  t.match(json, [
    {
      account: 'one',
      runs: [{ run: '2020_01_01_01' }, { run: '2020_01_02_01' }],
      together: Number,
      total: { inodes: Number },
    },
  ]);
  for (const words of [
    ['retention'],
    ['retention', '--all', '--account', 'one'],
    ['scrub', '--all', '--sample', '0%'],
    ['scrub', '--all', '--budget', 'long'],
    ['usage', '--account', 'one', '--run', 'x'],
    ['undelete', 'one', 'x'],
    ['remove', 'one', 'x'],
    ['remove', 'one'],
  ])
    t.equal(run(root, ...words).status, 2, words.join(' '));
  for (const words of [
    ['retention', '--account', '..'],
    ['usage', '--account', 'none'],
    ['undelete', 'one', '2020_01_01_01'],
    ['freeze', 'a/b'],
  ])
    t.equal(run(root, ...words).status, 1, words.join(' '));
  t.ok(readdirSync(root).length === 1);
  t.end();
});
