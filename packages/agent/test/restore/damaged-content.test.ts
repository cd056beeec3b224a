import t from 'tap';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { compareTrees } from '../../../../test/harness/compare-trees.ts';
import { AgentError } from '../../src/errors.ts';
import { altered, withEntries } from './altered-account.ts';
import { World } from './world.ts';

const LARGE = Buffer.alloc(2_500_000, 7);

async function world() {
  const made = new World();
  mkdirSync(made.source);
  for (const name of ['flipped', 'gone', 'longer', 'shorter', 'sound']) {
    writeFileSync(`${made.source}/${name}`, `content of ${name}`);
    writeFileSync(`${made.source}/large-${name}`, Buffer.concat([LARGE, Buffer.from(name)]));
  }
  const run = await made.backUp();
  return { made, stored: `${made.storage}/${run}${made.source}` };
}

t.test(
  'damaged, missing, shortened and lengthened content is named and not put in place; the rest is',
  async (t) => {
    const { made, stored } = await world();
    await using _made = made;
    for (const prefix of ['', 'large-']) {
      const bytes = readFileSync(`${stored}/${prefix}flipped`);
      bytes[3] = 0;
      writeFileSync(`${stored}/${prefix}flipped`, bytes);
      rmSync(`${stored}/${prefix}gone`);
      writeFileSync(
        `${stored}/${prefix}longer`,
        Buffer.concat([readFileSync(`${stored}/${prefix}longer`), LARGE]),
      );
      truncateSync(`${stored}/${prefix}shorter`, 5);
    }
    mkdirSync(made.restored, { recursive: true });
    writeFileSync(`${made.restored}/flipped`, 'the older one stays');
    const { report } = await made.restore();
    const damaged = report.damaged.items.map(({ path }) => path.toString().replace(/.*\//, ''));
    // What a large file has behind its recorded end is not read, and so does no harm.
    t.same(damaged.sort(), [
      'flipped',
      'gone',
      'large-flipped',
      'large-gone',
      'large-shorter',
      'longer',
      'shorter',
    ]);
    t.same(readdirSync(made.restored).sort(), ['flipped', 'large-longer', 'large-sound', 'sound']);
    t.equal(readFileSync(`${made.restored}/flipped`, 'utf8'), 'the older one stays');
    t.ok(readFileSync(`${made.restored}/large-longer`).equals(readFileSync(`${made.source}/large-longer`)));
  },
);

t.test('what is damaged on the storage takes the place of nothing, not even of a folder', async (t) => {
  const { made, stored } = await world();
  await using _made = made;
  for (const name of ['sound', 'flipped', 'large-flipped']) {
    mkdirSync(`${made.restored}/${name}`, { recursive: true });
    writeFileSync(`${made.restored}/${name}/precious`, 'made here');
  }
  writeFileSync(`${stored}/flipped`, 'CONTENT OF FLIPPED');
  writeFileSync(`${stored}/large-flipped`, Buffer.alloc(LARGE.length + 'flipped'.length));
  const { report } = await made.restore({ deletes: true });
  t.equal(report.damaged.count, 2);
  for (const name of ['flipped', 'large-flipped'])
    t.equal(readFileSync(`${made.restored}/${name}/precious`, 'utf8'), 'made here');
  t.equal(readFileSync(`${made.restored}/sound`, 'utf8'), 'content of sound');
});

t.test('a symlink on the storage in place of a file is damage, not followed', async (t) => {
  const { made, stored } = await world();
  await using _made = made;
  writeFileSync(`${made.folder}/secret`, 'content of sound');
  rmSync(`${stored}/sound`);
  symlinkSync(`${made.folder}/secret`, `${stored}/sound`);
  const { report } = await made.restore();
  t.equal(report.damaged.count, 1);
  t.notOk(existsSync(`${made.restored}/sound`));
});

t.test('a hard-link group takes its content from the next name if the first is damaged', async (t) => {
  await using made = new World();
  mkdirSync(made.source);
  writeFileSync(`${made.source}/a`, 'shared');
  for (const name of ['b', 'c']) linkSync(`${made.source}/a`, `${made.source}/${name}`);
  const run = await made.backUp();
  const stored = `${made.storage}/${run}${made.source}`;
  copyFileSync(`${stored}/a`, `${stored}/own-copy`);
  renameSync(`${stored}/own-copy`, `${stored}/b`); // as if the storage had taken no more links
  writeFileSync(`${stored}/a`, 'shaxed');
  const { report } = await made.restore();
  t.same(
    report.damaged.items.map(({ path }) => path.toString().at(-1)),
    ['a'],
  );
  t.equal(readFileSync(`${made.restored}/b`, 'utf8'), 'shared');
  t.equal(lstatSync(`${made.restored}/c`).ino, lstatSync(`${made.restored}/b`).ino);
});

t.test('nothing is written if the manifest is damaged anywhere', async (t) => {
  const { made } = await world();
  await using _made = made;
  const manifest = `${made.storage}/2024_04_18_01.impl`;
  const bytes = readFileSync(manifest);
  bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 0xff;
  writeFileSync(manifest, bytes);
  await t.rejects(made.restore(), { code: 'MANIFEST_DAMAGED' });
  t.notOk(existsSync(made.back));
});

t.test("nothing is written if the manifest is another run's", async (t) => {
  const { made } = await world();
  await using _made = made;
  const next = await made.backUp();
  copyFileSync(`${made.storage}/2024_04_18_01.impl`, `${made.storage}/${next}.impl`);
  await t.rejects(made.restore(), { code: 'MANIFEST_DAMAGED', message: new RegExp(next) });
  t.notOk(existsSync(made.back));
});

t.test('what the backup could not read is named as not in the run', async (t) => {
  await using made = new World();
  mkdirSync(made.source);
  writeFileSync(`${made.source}/file`, 'x');
  await made.backUp();
  await using account = await made.account();
  const forged = withEntries(account, ({ sha256, ...entry }) =>
    entry.type === 'file'
      ? { ...entry, unreadable: 'EACCES', stored: { kind: 'manifest' } }
      : { ...entry, ...(sha256 === undefined ? {} : { sha256 }) },
  );
  const { report } = await made.restore({}, forged);
  t.equal(report.absent.count, 1);
  t.match(report.warnings()[0], /file is not in this run: the backup could not read it \(EACCES\)/);
  t.notOk(existsSync(`${made.restored}/file`));
});

t.test('an interrupted restore is continued without fetching again, and its leftovers go', async (t) => {
  await using made = new World();
  mkdirSync(`${made.source}/folder`, { recursive: true });
  for (let index = 0; index < 300; index++)
    writeFileSync(`${made.source}/folder/f${index}`, `content ${index}`);
  writeFileSync(`${made.source}/large`, LARGE);
  await made.backUp();
  await using account = await made.account();
  let reads = 0;
  const cut = altered(account, {
    readFile: async (...args) => {
      if (++reads > 120) throw new AgentError('CONNECTION_LOST', 'cut');
      return account.readFile(...args);
    },
    async *readExtents(...args) {
      yield* account.readExtents(...args);
      throw new AgentError('CONNECTION_LOST', 'cut');
    },
  });
  await t.rejects(made.restore({}, cut), { code: 'CONNECTION_LOST' });
  const arrived = readdirSync(`${made.restored}/folder`).length;
  t.equal(arrived, 120);
  writeFileSync(`${made.restored}/folder/.bakker-restore-0123456789abcdef`, 'of a killed restore');
  let fetched = 0;
  const counting = altered(account, {
    readFile: (...args) => {
      fetched++;
      return account.readFile(...args);
    },
  });
  await made.restore({}, counting);
  t.equal(fetched, 300 - arrived);
  t.same(await compareTrees(made.source, made.restored), []);
});

t.test('a full target ends the restore with what to do', async (t) => {
  const { made } = await world();
  await using _made = made;
  mkdirSync(made.back);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', made.back]);
  try {
    await t.rejects(made.restore(), { code: 'RESTORE_FAILED', message: /no space is left/ });
  } finally {
    execFileSync('umount', [made.back]);
  }
});
