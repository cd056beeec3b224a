import t from 'tap';
import type { Test } from 'tap';
import { parseRunName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { openFolder, setMtime, setXattr } from '@bakker/linux';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hurtFiles } from '../../src/adapters/account/hurt-file.ts';
import { openContent } from '../../src/adapters/runs/disk-content.ts';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { scrubAccount } from '../../src/scrub/scrub-account.ts';
import type { ScrubOptions, ScrubReport } from '../../src/scrub/scrub-account.ts';
import { SampleAccount, makeRoot } from '../retain/sample-account.ts';

const NEVER = new AbortController().signal;
const [FIRST, SECOND] = [name('2024_04_18_01'), name('2024_04_19_01')];

function name(text: string): RunName {
  const run = parseRunName(text);
  if (run === undefined) throw new Error(text);
  return run;
}

interface World {
  readonly root: string;
  readonly account: SampleAccount;
  readonly scrub: (options?: Partial<ScrubOptions>) => Promise<ScrubReport>;
  readonly path: (run: string, path: string) => string;
}

/** Two runs: `shared` lies in both, `own` is another file in each. With checksums, as a session stores them. */
function world(
  t: Test,
  { sums = true, files = {} }: { sums?: boolean; files?: Record<string, Buffer> } = {},
): World {
  const root = makeRoot(t);
  const account = new SampleAccount(root);
  const contents = {
    'd/shared': Buffer.alloc(100_000, 's'),
    'd/own': Buffer.from('first'),
    empty: Buffer.alloc(0),
    ...files,
  };
  account.publish(FIRST, { files: contents });
  const links = Object.fromEntries(Object.keys(contents).map((path) => [path, null]));
  account.publish(SECOND, { parent: FIRST, files: { ...links, 'd/own': 'second' } });
  const path = (run: string, file: string): string => join(account.folder, run, file);
  if (sums) {
    for (const [file, content] of Object.entries({ ...contents })) addSum(path(FIRST, file), content);
    addSum(path(SECOND, 'd/own'), Buffer.from('second'));
  }
  let nowMs = Date.UTC(2024, 4, 1);
  return {
    root,
    account,
    path,
    async scrub(options = {}) {
      using content = openContent(root, account.name);
      nowMs += 3_600_000;
      return await scrubAccount(content, {
        share: 1,
        budgetMs: undefined,
        nowMs: () => nowMs,
        signal: NEVER,
        ...options,
      });
    },
  };
}

function addSum(file: string, content: Buffer): void {
  setXattr(Buffer.from(file), {
    name: 'user.bakker.sha256',
    value: createHash('sha256').update(content).digest(),
  });
}

/** What a dying disk does: the byte changes, size and times do not. */
function flipBit(file: string, offsetBytes: number): void {
  const stat = lstatSync(file, { bigint: true });
  chmodSync(file, 0o600);
  const fd = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offsetBytes);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  writeSync(fd, byte, 0, 1, offsetBytes);
  closeSync(fd);
  chmodSync(file, Number(stat.mode) & 0o777);
  setMtime(Buffer.from(file), stat.mtimeNs);
}

const named = ({ hurt }: ScrubReport): string[] =>
  hurt.files.flatMap(({ names }) => names.map(({ run, path }) => `${run}/${path.toString()}`)).sort();

t.test('a healthy account is read once for each content, and has no record of hurt', async (t) => {
  const { account, scrub } = world(t);
  const report = await scrub();
  t.match(report, { files: 4, checked: 4, noted: 0, healed: 0, checkedBytes: 100_000 + 5 + 6 });
  t.same(report.hurt.files, []);
  t.notOk(existsSync(join(account.folder, '.bakker/hurt.json')));
});

t.test('every flipped bit is found, with all runs and paths, and told to a session', async (t) => {
  const { account, scrub, path } = world(t);
  for (const offsetBytes of [0, 4_095, 4_096, 99_999]) {
    flipBit(path(FIRST, 'd/shared'), offsetBytes);
    const report = await scrub();
    t.same(named(report), [`${FIRST}/d/shared`, `${SECOND}/d/shared`], `bit at ${offsetBytes}`);
    flipBit(path(FIRST, 'd/shared'), offsetBytes);
    const again = await scrub();
    t.equal(again.healed, 1);
    t.same(named(again), []);
  }
  flipBit(path(SECOND, 'd/own'), 2);
  await scrub();
  using folder = openFolder(Buffer.from(account.folder));
  const inode = BigInt(lstatSync(path(SECOND, 'd/own')).ino);
  t.same(hurtFiles(folder, SECOND), {
    files: [{ run: SECOND, path: Buffer.from('d/own') }],
    inodes: new Set([inode]),
  });
  t.same(hurtFiles(folder, FIRST), { files: [], inodes: new Set([inode]) });
});

t.test('large files, cut and grown ones are found as well', async (t) => {
  const large = Buffer.alloc(3 * 1024 * 1024 + 17, 'large');
  const { scrub, path } = world(t, { files: { large, exact: Buffer.alloc(1024 * 1024, 'e') } });
  t.same(named(await scrub()), []);
  flipBit(path(FIRST, 'large'), large.length - 1);
  truncateSync(path(FIRST, 'd/shared'), 99_999);
  writeFileSync(path(FIRST, 'exact'), 'more', { flag: 'a' });
  t.same(
    named(await scrub()),
    [FIRST, SECOND].flatMap((run) => [`${run}/d/shared`, `${run}/exact`, `${run}/large`]),
  );
});

t.test(
  'a file without a checksum is noted, and its later rot is found; replaced by another it is noted anew',
  async (t) => {
    const { scrub, path } = world(t, { sums: false });
    t.match(await scrub(), { checked: 4, noted: 4 });
    t.match(await scrub(), { checked: 4, noted: 0, hurt: { files: { length: 0 } } });
    flipBit(path(FIRST, 'd/own'), 0);
    t.same(named(await scrub()), [`${FIRST}/d/own`]);
    flipBit(path(FIRST, 'd/own'), 0);
    t.same(named(await scrub()), []);
    const stat = lstatSync(path(FIRST, 'd/own'));
    writeFileSync(path(FIRST, 'd/own'), 'other');
    utimesSync(path(FIRST, 'd/own'), stat.atime, new Date(1_700_000_000_000));
    t.match(await scrub(), { noted: 1, hurt: { files: { length: 0 } } });
  },
);

t.test('a hurt file stays known while others are sampled, and is forgotten with its last run', async (t) => {
  const { root, account, scrub, path } = world(t);
  flipBit(path(FIRST, 'd/own'), 1);
  await scrub();
  // It is first in line at every scrub, and read again.
  t.same(named(await scrub({ share: 0.01 })), [`${FIRST}/d/own`]);
  using keeper = openKeeper(root, account.name);
  await keeper.remove(FIRST, Date.UTC(2024, 5, 1));
  const report = await scrub();
  t.same(named(report), []);
  t.equal(report.healed, 1);
});

t.test('samples take the oldest checks first, until all were read', async (t) => {
  const { scrub } = world(t);
  const oldest: (number | null)[] = [];
  for (let round = 0; round < 4; round++) {
    const report = await scrub({ share: 0.25 });
    t.equal(report.checked, 1);
    oldest.push(report.oldestCheckMs);
  }
  t.same(oldest.slice(0, 3), [null, null, null]);
  t.type(oldest[3], 'number', 'after four quarters everything was checked');
  const next = await scrub({ share: 0.25 });
  t.ok((next.oldestCheckMs ?? 0) > (oldest[3] ?? 0), 'the fifth takes the one of the first');
});

t.test('a budget ends the work between two files, and the next call goes on', async (t) => {
  const { scrub } = world(t);
  let nowMs = Date.UTC(2024, 6, 1);
  // A second passes with every look at the clock.
  const clock = (): number => (nowMs += 1_000);
  const first = await scrub({ budgetMs: 4_000, nowMs: clock });
  t.ok(first.checked >= 1 && first.checked < 4, `${first.checked} checked`);
  const second = await scrub({ budgetMs: 60_000, nowMs: clock });
  t.equal(second.checked, 4);
  t.type(second.oldestCheckMs, 'number');
});

t.test(
  'a file of a hole that has no end takes its budget, and then the others have their turn',
  async (t) => {
    const { account, scrub, path } = world(t);
    // Days of zeros to hash, and not a block.
    const hole = path(FIRST, 'd/hole');
    writeFileSync(hole, '');
    truncateSync(hole, 2 ** 43);
    setXattr(Buffer.from(hole), { name: 'user.bakker.sha256', value: Buffer.alloc(32) });
    // It alone was never checked, so it is first.
    const checkedAt = Math.floor(Date.now() / 1000) - 1_000_000;
    const inodes = [
      hole,
      path(FIRST, 'd/shared'),
      path(FIRST, 'd/own'),
      path(SECOND, 'd/own'),
      path(FIRST, 'empty'),
    ]
      .map((file) => lstatSync(file).ino)
      .sort((a, b) => a - b);
    const records = inodes.map((inode) => {
      const record = Buffer.alloc(16);
      record.writeBigUInt64LE(BigInt(inode));
      record.writeUInt32LE(inode === lstatSync(hole).ino ? 0 : checkedAt, 8);
      return record;
    });
    mkdirSync(join(account.folder, '.bakker/scrub'));
    writeFileSync(join(account.folder, '.bakker/scrub/checked'), Buffer.concat(records));
    const startedAtMs = Date.now();
    const first = await scrub({ budgetMs: 300, nowMs: Date.now, share: 0.2 });
    t.ok(Date.now() - startedAtMs < 5_000, 'the budget holds within a file');
    t.match(first, { files: 5, checked: 0, givenUp: 1, oldestCheckMs: null, hurt: { files: { length: 0 } } });
    const second = await scrub({ budgetMs: 300, nowMs: Date.now, share: 0.8 });
    t.match(second, { checked: 4, givenUp: 1, oldestCheckMs: null }, 'the others come first now');
    const gone = scrub({ signal: AbortSignal.timeout(300) });
    await t.rejects(gone, { name: 'TimeoutError' }, 'and it ends when it is told to');
    rmSync(hole);
    t.match(await scrub(), { checked: 4, givenUp: 0 });
  },
);

t.test(
  'what somebody stored is read on when the budget is over, and holes are hashed as zeros',
  async (t) => {
    const { scrub, path } = world(t, { sums: false });
    const large = path(FIRST, 'large');
    writeFileSync(large, Buffer.alloc(300 << 20, 'l'));
    addSum(large, readFileSync(large));
    let nowMs = Date.UTC(2024, 6, 1);
    // A second passes with every look at the clock: five within the large file.
    const clock = (): number => (nowMs += 1_000);
    let checkedBytes = 0;
    for (let round = 0; round < 5; round++) {
      const report = await scrub({ budgetMs: 3_000, nowMs: clock });
      t.equal(report.givenUp, 0);
      checkedBytes += report.checkedBytes;
    }
    t.ok(checkedBytes > 300e6, `${checkedBytes} bytes read`);
    const sparse = path(FIRST, 'sparse');
    writeFileSync(sparse, 'begin');
    truncateSync(sparse, 3_000_001);
    writeFileSync(sparse, 'middle', { flag: 'a' });
    truncateSync(sparse, 150_000_000);
    addSum(sparse, readFileSync(sparse));
    t.match(await scrub(), { hurt: { files: { length: 0 } }, givenUp: 0 });
    flipBit(sparse, 3_000_003);
    t.same(named(await scrub()), [`${FIRST}/sparse`]);
    flipBit(sparse, 3_000_003);
    flipBit(sparse, 140_000_000);
    t.same(named(await scrub()), [`${FIRST}/sparse`], 'within a hole');
  },
);

t.test('cut off after any file, the next scrub takes the others first and finds what was hurt', async (t) => {
  for (let after = 1; after <= 4; after++) {
    const { root, account, scrub, path } = world(t);
    flipBit(path(FIRST, 'd/own'), 1);
    flipBit(path(SECOND, 'd/own'), 1);
    const content = openContent(root, account.name);
    let left = after;
    const dying = new Proxy(content, {
      get(target, key) {
        if (key !== 'check') {
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        }
        const check: typeof content.check = (options) =>
          target.check({
            ...options,
            checked: (...file) => {
              const goesOn = options.checked(...file);
              if (--left === 0) throw new Error('killed');
              return goesOn;
            },
          });
        return check;
      },
    });
    const cut = scrubAccount(dying, {
      share: 1,
      budgetMs: undefined,
      nowMs: () => Date.UTC(2024, 4, 1),
      signal: NEVER,
    });
    await t.rejects(cut, /killed/);
    content[Symbol.dispose](); // as the kernel does
    // Those that were good are not due again before the others.
    const report = await scrub({ share: 1 });
    t.same(named(report), [`${FIRST}/d/own`, `${SECOND}/d/own`], `after ${after} files`);
  }
});

t.test(
  'a state file of another account, of rubbish, or cut off costs nothing but another look',
  async (t) => {
    const { account, scrub, path } = world(t, { sums: false });
    await scrub();
    flipBit(path(FIRST, 'd/own'), 1);
    for (const rubbish of [Buffer.alloc(0), Buffer.alloc(1_001, 0xff), Buffer.from('no state')]) {
      writeFileSync(join(account.folder, '.bakker/scrub/checked'), rubbish);
      writeFileSync(join(account.folder, '.bakker/hurt.json'), rubbish);
      t.same(named(await scrub()), [`${FIRST}/d/own`]);
    }
  },
);

t.test(
  'a manifest that is not the one of its receipt is told, and its run is no good run any more',
  async (t) => {
    const { root, account, scrub } = world(t);
    flipBit(join(account.folder, `${FIRST}.impl`), 3);
    rmSync(join(account.folder, `${SECOND}.impl`));
    const report = await scrub();
    t.same(report.hurt.manifests, [FIRST, SECOND]);
    using keeper = openKeeper(root, account.name);
    t.same(
      keeper.runs().map(({ isHurt }) => isHurt),
      [true, true],
    );
  },
);

t.test('names of any bytes are told as they are', async (t) => {
  const root = makeRoot(t);
  const account = new SampleAccount(root);
  account.publish(FIRST, { files: { a: 'a' } });
  const path = Buffer.from([0x66, 0xff, 0x0a]);
  const file = Buffer.concat([Buffer.from(join(account.folder, FIRST, '/')), path]);
  writeFileSync(file, 'content');
  setXattr(file, { name: 'user.bakker.sha256', value: Buffer.alloc(32) });
  using content = openContent(root, account.name);
  const report = await scrubAccount(content, {
    share: 1,
    budgetMs: undefined,
    nowMs: Date.now,
    signal: NEVER,
  });
  t.same(
    report.hurt.files.map(({ names }) => names),
    [[{ run: FIRST, path }]],
  );
  t.same(content.hurt(), report.hurt, 'and read back from hurt.json');
});

t.test('one scrub at a time: what another one finds meanwhile is not written over', async (t) => {
  const { root, account, path, scrub } = world(t);
  {
    using _first = openContent(root, account.name);
    t.throws(() => openContent(root, account.name), {
      code: 'LOCKED',
      message: /another scrub reads server1/,
    });
  }
  chmodSync(path(SECOND, 'd/own'), 0o600);
  writeFileSync(path(SECOND, 'd/own'), 'SECOND');
  t.equal((await scrub()).hurt.files.length, 1);
  t.ok(existsSync(join(account.folder, '.bakker/hurt.json')));
});
