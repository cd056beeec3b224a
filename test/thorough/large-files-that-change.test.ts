import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { BackupReport } from '../harness/json-contracts.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { pseudoRandom, pseudoRandomBytes, settle } from '../harness/sample-tree.ts';
import { makeSealedWorld, type SealedWorld } from '../harness/sealed-world.ts';
import { completeRuns, findBrokenPromises, fingerprintRuns } from '../harness/storage-check.ts';
import { makeWorld, type World } from '../harness/world.ts';

const MIB = 1024 * 1024;
const BLOCK = 64 * 1024;
const DISK_BYTES = 400 * MIB;

t.jobs = 4;

/** Runs that are killed, on each storage. */
const KILLS = process.env['BAKKER_TEST_ALL'] === '1' ? 20 : 2;
const isFull = process.env['BAKKER_TEST_ALL'] === '1';
const EVERY_DAY = [
  { kind: 'local', type: 'xfs', sealed: true },
  { kind: 'plain', type: 'ext4' },
  { kind: 'shell', type: 'xfs' },
] as const;
const ALSO = [
  { kind: 'local', type: 'ext4' },
  { kind: 'local', type: 'btrfs' },
  { kind: 'plain', type: 'btrfs', sealed: true },
  { kind: 'shell', type: 'ext4', sealed: true },
  { kind: 'shell', type: 'btrfs' },
] as const;

for (const { kind, type, ...more } of isFull ? [...EVERY_DAY, ...ALSO] : EVERY_DAY) {
  const isSealed = 'sealed' in more;
  const name = `${kind}, ${type}${isSealed ? ', sealed' : ''}`;
  t.test(
    `changed blocks alone are sent, and every run is the file of its day: ${name}`,
    { buffered: true },
    async (t) => {
      await using disk = await mountLoopFilesystem({ type, sizeBytes: DISK_BYTES });
      const how = { kind, storageOn: disk.folder };
      const sealed = isSealed ? await makeSealedWorld(how) : undefined;
      await using world: World = sealed ?? (await makeWorld(how));
      const [image, log, sparse] = ['image', 'log', 'sparse'].map((file) => `${world.source}/${file}`);
      if (!image || !log || !sparse) throw new Error('three files');
      const logBytes = 8 * MIB + 12_345;
      write(image, 0, pseudoRandomBytes('image', 10 * MIB));
      write(log, 0, pseudoRandomBytes('log', logBytes));
      write(sparse, 5 * MIB, pseudoRandomBytes('sparse', MIB));
      // written, not a hole: in the next run the storage may have one there all the same
      write(sparse, 6 * MIB, Buffer.alloc(MIB));
      truncateSync(sparse, 20 * MIB);
      const days: Day[] = [];
      await settle();
      days.push(await oneDay(world, days));
      const readArgs = sealed ? [...sealed.key] : [];

      for (const index of [3, 90, 151]) write(image, index * BLOCK, pseudoRandomBytes(`new ${index}`, BLOCK));
      write(log, logBytes, pseudoRandomBytes('more', 100_000));
      write(sparse, 10 * MIB, pseudoRandomBytes('filled', BLOCK));
      await settle();
      const usedBefore = usedBytes(disk.folder);
      const day = await oneDay(world, days);
      days.push(day);
      t.match(day.report.files, { changed: 3, new: 0 });
      const changedBytes = 4 * BLOCK + 100_000;
      const { sent } = day.report.bytes;
      t.ok(sent <= 1.15 * changedBytes + 3 * BLOCK, `${sent} bytes were sent for ${changedBytes}`);
      if (type !== 'ext4' && kind !== 'plain') {
        const added = usedBytes(disk.folder) - usedBefore;
        t.ok(added < changedBytes + 2 * MIB, `blocks are shared: ${added} bytes were added`);
      }

      const seed = Math.floor(Math.random() * 2 ** 32);
      t.comment(`seed ${seed}`);
      const random = pseudoRandom(seed);
      for (let count = isFull ? 6 : 1; count > 0; count--) {
        for (const file of [image, log, sparse]) changeAtRandom(file, random);
        days.push(await oneDay(world, days));
      }
      t.same(
        days.flatMap(({ altered }) => altered),
        [],
        'older runs are bit for bit what they were',
      );
      for (const { report, folder } of days) {
        const restored = await world.restore(report.run ?? '', readArgs);
        execFileSync('diff', ['-r', folder, restored]);
      }
      if (sealed)
        execFileSync('diff', [
          '-r',
          world.source,
          sealed.unsealRun(completeRuns(world.storage).at(-1) ?? ''),
        ]);
      else t.same(findBrokenPromises(world.storage), []);
      const { status } = await world.bakker.run(['verify', '--json', ...readArgs]);
      t.equal(status, 0);
    },
  );
}

t.test(
  'a file that moved and changed, one with many names, and lost fingerprints',
  { buffered: true },
  async (t) => {
    await using world = await makeWorld({ kind: 'local' });
    write(`${world.source}/first`, 0, pseudoRandomBytes('first', 9 * MIB));
    write(`${world.source}/linked`, 0, pseudoRandomBytes('linked', 9 * MIB));
    execFileSync('ln', [`${world.source}/linked`, `${world.source}/other name`]);
    await settle();
    await world.backup();
    execFileSync('mv', [`${world.source}/first`, `${world.source}/moved`]);
    write(`${world.source}/moved`, 2 * MIB, Buffer.from('changed'));
    write(`${world.source}/linked`, 3 * MIB, Buffer.from('changed'));
    await settle();
    const report = await world.backup();
    t.ok(report.bytes.sent <= 2 * BLOCK, `${report.bytes.sent} bytes were sent`);
    await compareLatest(world);

    forgetFingerprints(world);
    write(`${world.source}/moved`, 4 * MIB, Buffer.from('again'));
    await settle();
    t.equal((await world.backup()).bytes.sent, 9 * MIB, 'sent whole');
    write(`${world.source}/moved`, 5 * MIB, Buffer.from('once more'));
    execFileSync('touch', [`${world.source}/linked`]);
    await settle();
    t.equal(
      (await world.backup()).bytes.sent,
      BLOCK,
      'and known from then on; what was only touched costs nothing',
    );
    await compareLatest(world);
    await world.configure({ 'block-change': 'off' });
    write(`${world.source}/moved`, 6 * MIB, Buffer.from('whole'));
    t.equal((await world.backup()).bytes.sent, 9 * MIB, 'switched off');
    await compareLatest(world);
  },
);

t.test(
  'where blocks are shared on a local disk, lost fingerprints are made again from the last run',
  { buffered: true },
  async (t) => {
    await using disk = await mountLoopFilesystem({ type: 'xfs', sizeBytes: DISK_BYTES });
    await using world = await makeWorld({ kind: 'local', storageOn: disk.folder });
    const image = `${world.source}/image`;
    write(image, 0, pseudoRandomBytes('image', 12 * MIB));
    truncateSync(image, 20 * MIB);
    await settle();
    await world.backup();

    forgetFingerprints(world);
    write(image, 4 * MIB, Buffer.from('again'));
    write(image, 15 * MIB, Buffer.from('in the hole'));
    await settle();
    const usedBefore = usedBytes(disk.folder);
    const { bytes } = await world.backup();
    t.equal(bytes.sent, 2 * BLOCK);
    const added = usedBytes(disk.folder) - usedBefore;
    t.ok(added < 2 * MIB, `${added} bytes were added`);
    await compareLatest(world);

    forgetFingerprints(world);
    execFileSync('touch', [image]);
    await settle();
    t.equal((await world.backup()).bytes.sent, 0, 'what was only touched is linked');

    forgetFingerprints(world);
    const [run = ''] = completeRuns(world.storage).slice(-1);
    const stored = `${world.storage}/${run}${image}`;
    chmodSync(stored, 0o600);
    write(stored, 9 * MIB, Buffer.from('rotten'));
    chmodSync(stored, 0o400);
    write(image, 5 * MIB, Buffer.from('once more'));
    await settle();
    const report = await world.backup();
    t.equal(report.bytes.sent, 20 * MIB, 'nothing is taken from a file that is damaged');
    t.match(report.warnings, [/image is damaged in 2.* on the storage; its content was sent again/]);
    await compareLatest(world);
  },
);

for (const [kind, isSealed] of [
  ['local', false],
  ['plain', true],
  ['shell', false],
  ...(isFull
    ? ([
        ['local', true],
        ['plain', false],
        ['shell', true],
      ] as const)
    : []),
] as const) {
  const name = `${kind}${isSealed ? ', sealed' : ''}`;
  const make = async (storageOn: string): Promise<World & { readonly key: readonly string[] }> =>
    isSealed
      ? makeSealedWorld({ kind, storageOn, hideNames: false })
      : { ...(await makeWorld({ kind, storageOn })), key: [] };

  t.test(
    `killed while blocks are replaced, a run leaves the old ones alone: ${name}`,
    { buffered: true },
    async (t) => {
      await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: DISK_BYTES });
      await using world = await make(disk.folder);
      const linesOf = linesIn(world);
      const image = `${world.source}/image`;
      write(image, 0, pseudoRandomBytes('image', 24 * MIB));
      await world.backup();
      // the test machine may be too slow to see a run before it is over: another one then
      for (let attempt = 0, killed = 0; killed < KILLS; attempt++) {
        for (let index = attempt % 7; index < 384; index += 7)
          write(image, index * BLOCK, pseudoRandomBytes(`${attempt} ${index}`, 1000));
        const before = await fingerprintRuns(world.storage);
        const running = world.bakker.start(['backup', '--json']);
        const target = new RegExp('incomplete$');
        while (running.process.exitCode === null) {
          const run = readdirSync(world.storage).find((entry) => target.test(entry));
          if (run && existsSync(`${world.storage}/${run}${image}`)) break;
          await delay(1);
        }
        await delay((attempt % 20) * 10);
        running.process.kill('SIGKILL');
        if ((await running.finished).status === undefined) killed++;
        const after = await fingerprintRuns(world.storage);
        for (const [run, print] of before) t.equal(after.get(run), print);
        t.same(findBrokenPromises(world.storage, linesOf), []);
      }
      await world.backup();
      execFileSync('diff', ['-r', world.source, await world.restore('latest', [...world.key])]);
      await world.verify(['--data', ...world.key]);
    },
  );

  t.test(
    `a full disk while blocks are replaced leaves the old run alone, and the next run is right: ${name}`,
    { buffered: true },
    async (t) => {
      await using disk = await mountLoopFilesystem({ type: 'ext4', sizeBytes: 64 * MIB });
      await using world = await make(disk.folder);
      const image = `${world.source}/image`;
      write(image, 0, pseudoRandomBytes('image', 16 * MIB));
      await world.backup();
      execFileSync('fallocate', ['-l', '24M', `${disk.folder}/filler`]);
      write(image, 5 * MIB, pseudoRandomBytes('changed', BLOCK));
      const before = await fingerprintRuns(world.storage);
      const full = await world.bakker.run(['backup', '--json']);
      t.equal(full.status, 13, full.stderr);
      t.match(full.stderr, /full|room/);
      t.same(await fingerprintRuns(world.storage), before);
      rmSync(`${disk.folder}/filler`);
      await world.backup();
      execFileSync('diff', ['-r', world.source, await world.restore('latest', [...world.key])]);
      t.same(findBrokenPromises(world.storage, linesIn(world)), []);
    },
  );
}

t.test(
  'what the storage kept and is damaged is noticed, and sent again: shell',
  { buffered: true },
  async (t) => {
    await using world = await makeWorld({ kind: 'shell' });
    const image = `${world.source}/image`;
    write(image, 0, pseudoRandomBytes('image', 9 * MIB));
    const { run } = await world.backup();
    const stored = `${world.storage}/${run ?? ''}${image}`;
    const times = execFileSync('stat', ['-c', '%Y', stored], { encoding: 'utf8' }).trim();
    write(stored, 7 * MIB, Buffer.from('rot'));
    execFileSync('touch', ['-d', `@${times}`, stored]);
    write(image, MIB, Buffer.from('changed'));
    const made = await world.expect(['backup', '--json']);
    t.match(made.stderr, /other bytes.*sent again/);
    const report = made.json<BackupReport>();
    t.ok(report.bytes.sent >= 9 * MIB, 'whole');
    await compareLatest(world);
  },
);

/** The lines of a manifest, where it is sealed. */
function linesIn(world: World | SealedWorld): ((file: string) => Record<string, unknown>[]) | undefined {
  return 'unsealManifest' in world ? (file) => world.unsealManifest(file.slice(-19, -5)) : undefined;
}

interface Day {
  readonly report: Awaited<ReturnType<World['backup']>>;
  /** A copy of the source. */
  readonly folder: string;
  /** Older runs that are not what they were. */
  readonly altered: readonly string[];
}

async function oneDay(world: World, days: readonly Day[]): Promise<Day> {
  const before = await fingerprintRuns(world.storage);
  const report = await world.backup();
  const after = await fingerprintRuns(world.storage);
  const folder = `${world.bakker.folder}/day ${days.length}`;
  execFileSync('cp', ['-a', '--sparse=always', world.source, folder]);
  return { report, folder, altered: [...before.keys()].filter((run) => after.get(run) !== before.get(run)) };
}

function changeAtRandom(file: string, random: () => number): void {
  const whole = (most: number): number => Math.floor(random() * most);
  const sizeBytes = Number(execFileSync('stat', ['-c', '%s', file], { encoding: 'utf8' }));
  for (let count = 1 + whole(4); count > 0; count--) {
    const at = whole(sizeBytes);
    const kind = whole(7);
    if (kind <= 1) write(file, at, pseudoRandomBytes(`${random()}`, 1 + whole(200_000)));
    else if (kind === 2) write(file, sizeBytes, pseudoRandomBytes(`${random()}`, 1 + whole(300_000)));
    else if (kind === 3)
      execFileSync('fallocate', ['-p', '-o', String(at), '-l', String(1 + whole(MIB)), file]);
    else if (kind === 4) write(file, at, Buffer.alloc(1 + whole(MIB)));
    else if (kind === 5) truncateSync(file, sizeBytes + whole(MIB));
    else truncateSync(file, Math.max(8 * MIB + 1, sizeBytes - whole(MIB)));
  }
}

function write(file: string, offsetBytes: number, bytes: Buffer): void {
  closeSync(openSync(file, 'a'));
  const descriptor = openSync(file, 'r+');
  try {
    for (let done = 0; done < bytes.length;)
      done += writeSync(descriptor, bytes, done, bytes.length - done, offsetBytes + done);
  } finally {
    closeSync(descriptor);
  }
}

function usedBytes(folder: string): number {
  execFileSync('sync', ['-f', folder]);
  const text = execFileSync('df', ['--output=used', '-B1', folder], { encoding: 'utf8' });
  return Number(text.split('\n')[1]);
}

function forgetFingerprints(world: World): void {
  for (const name of readdirSync(world.bakker.stateDir))
    if (name.startsWith('blocks.sqlite')) rmSync(`${world.bakker.stateDir}/${name}`);
}

async function compareLatest(world: World): Promise<void> {
  execFileSync('diff', ['-r', world.source, await world.restore()]);
}
