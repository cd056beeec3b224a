import t from 'tap';
import { hash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareTrees } from '../../../../test/harness/compare-trees.ts';
import { setMtime, timespecs } from '@bakker/linux';
import { FileWriter } from '../../src/adapters/restore/file-writer.ts';
import type { WriteOrder } from '../../src/adapters/restore/write-order.ts';
import { World } from './world.ts';

const NOBODY = 65_534;
/** More than are written before the second thread starts. */
const MANY = 2000;
const MODES = [0o644, 0o600, 0o755, 0o440, 0o666, 0o4755, 0o000, 0o070];

function writeMany(folder: string): void {
  for (let index = 0; index < MANY; index++) {
    const inner = `${folder}/${index % 7}`;
    mkdirSync(inner, { recursive: true });
    const path = `${inner}/file ${index}`;
    const sizeBytes = index % 100 === 0 ? 300_000 : (index * 37) % 20_000;
    writeFileSync(path, Buffer.alloc(sizeBytes, `${index} `));
    chownSync(path, index % 3, index % 5);
    chmodSync(path, MODES[index % MODES.length] ?? 0);
    utimesSync(path, 0, index % 2 === 0 ? -index - 0.25 : 1_700_000_000 + index / 3);
  }
}

t.test('files of every size, mode and owner come back on two threads as on one', async (t) => {
  await using world = new World();
  writeMany(world.source);
  await world.backUp();
  const { report } = await world.restore({ verifies: true });
  t.equal(report.files, MANY);
  t.same(report.warnings(), []);
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test('content that is damaged is noticed on the second thread too, and gets no name', async (t) => {
  await using world = new World();
  writeMany(world.source);
  const run = await world.backUp();
  // late in the order, and plain: for the second thread
  const hurt = Array.from({ length: MANY }, (_, index) => index)
    .filter((index) => index % 40 === 8 && index % 7 > 2)
    .map((index) => `${index % 7}/file ${index}`);
  for (const name of hurt) {
    const stored = `${world.storage}/${run}${world.source}/${name}`;
    const bytes = readFileSync(stored);
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    writeFileSync(stored, bytes);
  }
  const { report } = await world.restore();
  const damaged = report.damaged.items.map(({ path }) => path.toString().split('/').slice(-2).join('/'));
  t.same(damaged.sort(), hurt.sort());
  for (const name of hurt) {
    t.throws(() => lstatSync(`${world.restored}/${name}`), { code: 'ENOENT' });
    removeQuietly(`${world.source}/${name}`);
  }
  t.equal(report.files, MANY - hurt.length);
  t.same(await compareTrees(world.source, world.restored), []);
});

t.test(
  'what another user may not set is counted once for each file, and every content is there',
  async (t) => {
    await using world = new World();
    writeMany(world.source);
    execFileSync('chmod', ['-R', 'u-s', world.source]);
    await world.backUp();
    chmodSync(world.folder, 0o755);
    execFileSync('chmod', ['-R', 'a+rX', world.storage]);
    mkdirSync(world.back);
    chownSync(world.back, NOBODY, NOBODY);
    const script = fileURLToPath(new URL('restore-as-user.ts', import.meta.url));
    const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--'];
    const node = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      script,
      world.storage,
      world.back,
    ];
    const told: unknown = JSON.parse(execFileSync('setpriv', [...user, ...node], { encoding: 'utf8' }));
    const folders = world.source.split('/').length - 1 + 7;
    t.match(told, { files: MANY, damaged: 0 });
    t.match(JSON.stringify(told), `could not set owner (EPERM) of ${MANY + folders} paths`);
    t.same(await compareTrees(world.source, world.restored, { owners: false }), []);
  },
);

/** Removes a file and leaves its folder's time as it was. */
function removeQuietly(path: string): void {
  const folder = dirname(path);
  const mtimeNs = lstatSync(folder, { bigint: true }).mtimeNs;
  rmSync(path);
  setMtime(Buffer.from(folder), mtimeNs);
}

const sha256 = (text: string): Buffer => hash('sha256', text, 'buffer');

t.test('the thread leaves what has the name alone, and nothing of what it could not finish', async (t) => {
  await using world = new World();
  mkdirSync(world.folder, { recursive: true });
  const folder = `${world.folder}/made`;
  mkdirSync(folder);
  writeFileSync(`${folder}/taken`, 'here before');
  const folderFd = openSync(folder, 'r');
  const order = (name: string, changes: Partial<WriteOrder> = {}): WriteOrder => ({
    folderFd,
    name: Buffer.from(name),
    bytes: Buffer.from(name.repeat(20)),
    sha256: undefined,
    firstMode: 0o600,
    mode: 0o640,
    owner: undefined,
    times: timespecs(1_700_000_000_123_456_789n),
    ...changes,
  });
  {
    await using writer = new FileWriter();
    const first = Array.from({ length: 1000 }, (_, index) => writer.take(order(`first-${index}`)));
    t.equal(first[0], undefined, 'no thread for a few files');
    const taken = first.filter((answer) => answer !== undefined);
    t.ok(taken.length > 0);
    t.same(new Set(await Promise.all(taken)), new Set([true]));
    t.equal(readdirSync(folder).length, taken.length + 1);
    const made = lstatSync(`${folder}/first-999`, { bigint: true });
    t.equal(made.mtimeNs, 1_700_000_000_123_456_789n);
    t.equal(Number(made.mode & 0o7777n), 0o640);
    t.equal(readFileSync(`${folder}/first-999`, 'utf8'), 'first-999'.repeat(20));
    const bad = { times: Buffer.alloc(32, 0x7f) }; // nanoseconds that no clock has
    t.same(
      await Promise.all([
        writer.take(order('taken')),
        writer.take(order('unset', bad)),
        writer.take(order('ok', { sha256: sha256('okokokokokokokokokokokokokokokokokokokok') })),
        writer.take(order('damaged', { sha256: sha256('something else') })),
      ]),
      [false, false, true, false],
    );
  }
  closeSync(folderFd);
  t.equal(readFileSync(`${folder}/taken`, 'utf8'), 'here before');
  t.notOk(readdirSync(folder).includes('unset'));
  t.ok(readdirSync(folder).includes('ok'));
  t.notOk(readdirSync(folder).includes('damaged'));
});
