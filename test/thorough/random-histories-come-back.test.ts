import { mkdirSync } from 'node:fs';
import t from 'tap';
import { copyExpected, type Chosen } from '../harness/expected-tree.ts';
import { mountLoopFilesystem } from '../harness/loop-fs.ts';
import { changeAtRandom } from '../harness/random-changes.ts';
import { plant, RandomTree } from '../harness/random-tree.ts';
import { pseudoRandom, settle } from '../harness/sample-tree.ts';
import { WatchedAccount } from '../harness/watched-account.ts';

// Whatever happened to a tree between runs, what is restored is what was there, as rsync, find and others see it. README.md says
// how to let it draw other and longer histories.

const FIRST_SEED = numberFrom('BAKKER_TEST_SEED', 1);
const SEEDS = numberFrom('BAKKER_TEST_SEEDS', 3);
const ROUNDS = numberFrom('BAKKER_TEST_ROUNDS', process.env['BAKKER_TEST_ALL'] === '1' ? 30 : 5);
const MOST_MS_A_ROUND = 120_000;
const DISK_BYTES = 2 ** 31;

const FILESYSTEMS = ['ext4', 'xfs', 'btrfs'] as const;
const ACCOUNTS = [
  { kind: 'local' },
  { kind: 'plain' },
  { kind: 'shell' },
  { kind: 'plain', sealed: true },
  { kind: 'shell', sealed: true, hideNames: true },
] as const;
const TOPS = ['a', 'b 1', 'b 2'];
const ALL: Chosen = { tops: TOPS, without: [] };
const CHOICES = [
  { ...ALL, patterns: ['{a,b*}'] },
  { ...ALL, patterns: ['a', 'b ?'], without: ['.skip'] },
  { ...ALL, patterns: ['a', 'b 1'], tops: ['a', 'b 1'] },
  { ...ALL, patterns: ['b*'], tops: ['b 1', 'b 2'], without: ['.skip'] },
];

t.jobs = 2;
t.setTimeout(SEEDS * ROUNDS * MOST_MS_A_ROUND);

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
  const type = turn(FILESYSTEMS, seed);
  const title = `seed ${seed}: each run of ${ROUNDS} rounds on ${type} comes back`;
  t.test(title, { buffered: true }, async (t) => {
    await using disk = await mountLoopFilesystem({ type, sizeBytes: DISK_BYTES });
    // shares no blocks with the tree: what XFS allocates ahead beside shared ones is data in a hole
    await using storage = await mountLoopFilesystem({ type, sizeBytes: DISK_BYTES });
    const random = pseudoRandom(seed);
    const tree = new RandomTree(`${disk.folder}/s`, random);
    mkdirSync(tree.root);
    plant(tree.root, TOPS);
    const config = { 'block-change': tree.pick(['256K', '1M', 'off']), memory: tree.pick(['16M', '64M']) };
    await using made = new AsyncDisposableStack();
    const accounts: WatchedAccount[] = [];
    for (const next of [0, 1]) {
      const [storageOn, restoreTo] = [`${storage.folder}/${next}`, `${disk.folder}/to ${next}`];
      for (const folder of [storageOn, restoreTo]) mkdirSync(folder);
      const how = { ...turn(ACCOUNTS, 2 * seed + next), config, root: tree.root, storageOn, restoreTo };
      accounts.push(
        made.use(await WatchedAccount.make({ ...how, random: pseudoRandom(1000 * seed + next) })),
      );
    }
    let chosen = CHOICES[0];
    for (let round = 1; round <= ROUNDS; round += 1) {
      changeAtRandom(tree, round === 1 ? 150 : tree.pick([10, 40, 100]));
      if (tree.chance(0.4)) chosen = tree.pick(CHOICES);
      if (chosen === undefined) throw new Error('a choice');
      // what was read too soon after its last change is read again next time, whatever happens to it
      if (tree.chance(0.8)) await settle();
      const expected = `${disk.folder}/expected ${round}`;
      const paths = copyExpected(tree.root, expected, chosen);
      for (const account of accounts) {
        await account.configure({
          sources: chosen.patterns.map((pattern) => `${tree.root}/${pattern}`),
          exclude: chosen.without.map((end) => `*${end}`),
        });
        t.same(await account.backUp(expected), [], `round ${round}`);
        t.same(await account.restore(), [], `restored in round ${round}`);
      }
      tree.seen(paths);
    }
  });
}

function turn<Item>(items: readonly Item[], index: number): Item {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

function numberFrom(variable: string, otherwise: number): number {
  return Number(process.env[variable] ?? otherwise);
}
