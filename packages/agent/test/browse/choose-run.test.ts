import t from 'tap';
import { parseRunName, type RunName } from '@bakker/impl-format';
import { chooseRun } from '../../src/browse/choose-run.ts';
import type { Receipt, StorageAccount, StoredRun } from '../../src/ports/storage-account.ts';

function nameOf(text: string): RunName {
  const run = parseRunName(text);
  if (run === undefined) throw new Error(text);
  return run;
}

const STARTS: Readonly<Record<string, string>> = {
  '2024_04_18_01': '2024-04-18T02:00Z',
  '2024_04_18_02': '2024-04-18T20:00Z',
  '2024_04_20_01': '2024-04-20T02:00:13Z',
};

/** The part of an account that choosing a run reads. */
function accountWith(runs: readonly StoredRun[], latest?: string): StorageAccount {
  const part: Partial<StorageAccount> = {
    address: 'a folder',
    listRuns: async () => runs,
    latest: async () => (latest === undefined ? undefined : nameOf(latest)),
    receipt: async (run) => ({ startedAtMs: Date.parse(STARTS[run] ?? '') }) as Receipt,
  };
  return part as StorageAccount;
}

const RUNS = Object.keys(STARTS).map((name): StoredRun => ({
  run: nameOf(name),
  state: 'complete',
  manifestSizeBytes: 1,
}));
const UNFINISHED: StoredRun = {
  run: nameOf('2024_04_21_01'),
  state: 'incomplete',
  manifestSizeBytes: undefined,
};
const ACCOUNT = accountWith([...RUNS, UNFINISHED], '2024_04_20_01');

const CHOICES: readonly (readonly [string, string])[] = [
  ['latest', '2024_04_20_01'],
  ['2024_04_18_01', '2024_04_18_01'],
  ['2024-04-18', '2024_04_18_02'],
  ['2024-04-19', '2024_04_18_02'],
  ['2024-04-20', '2024_04_20_01'],
  ['2031-01-01', '2024_04_20_01'],
  ['2024-04-18T13:00', '2024_04_18_01'],
  ['2024-04-18T20:00', '2024_04_18_02'],
  ['2024-04-18T21:30+02:00', '2024_04_18_01'],
  ['2024-04-18T22:00+02:00', '2024_04_18_02'],
  ['2024-04-20T01:59:59Z', '2024_04_18_02'],
  ['2024-04-20T01:59', '2024_04_18_02'],
  ['2024-04-20T02:00', '2024_04_20_01'],
  ['2024-04-20T02:00:00', '2024_04_18_02'],
  ['2024-04-20 02:00 UTC', '2024_04_20_01'],
  ['2024-04-18 22:00+02:00', '2024_04_18_02'],
];

for (const [from, run] of CHOICES) {
  t.test(`${from} stands for ${run}`, async (t) => {
    t.equal(await chooseRun(ACCOUNT, from), run);
  });
}

t.test('after a clock that was years ahead, a date is compared with the start of each run', async (t) => {
  const starts = ['2024-04-18T02:00Z', '2081-09-02T02:00Z', '2024-04-20T02:00Z', '2024-04-21T02:00Z'];
  const names = ['2024_04_18_01', '2081_09_02_01', '2081_09_02_02', '2081_09_02_03'];
  const runs = names.map((name): StoredRun => ({
    run: nameOf(name),
    state: 'complete',
    manifestSizeBytes: 1,
  }));
  const account = {
    ...accountWith(runs),
    receipt: async (run: RunName) =>
      ({ startedAtMs: Date.parse(starts[names.indexOf(run)] ?? '') }) as Receipt,
  };
  for (const [from, run] of [
    ['2024-04-19', '2024_04_18_01'],
    ['2024-04-20', '2081_09_02_02'],
    ['2024-04-20T01:00', '2024_04_18_01'],
    ['2024-04-20T02:00', '2081_09_02_02'],
    ['2024-05-01', '2081_09_02_03'],
    ['latest', '2081_09_02_03'],
  ] as const)
    t.equal(await chooseRun(account, from), run, from);
});

t.test('latest is the newest run, wherever the link of that name leads', async (t) => {
  for (const link of [...Object.keys(STARTS), undefined])
    t.equal(
      await chooseRun(accountWith([...RUNS, UNFINISHED], link), 'latest'),
      '2024_04_20_01',
      link ?? 'none',
    );
});

t.test('what was before the first run, or is no complete run, is not found', async (t) => {
  for (const from of ['2024-04-17', '2024-04-18T01:59', '2024_04_19_01', '2024_04_21_01'])
    await t.rejects(chooseRun(ACCOUNT, from), { code: 'RUN_NOT_FOUND' }, from);
  await t.rejects(chooseRun(accountWith([UNFINISHED]), 'latest'), { code: 'RUN_NOT_FOUND' });
});

t.test('what is neither run nor date is wrong usage', async (t) => {
  for (const from of ['yesterday', '2024-02-30', '2024-13-01', '2024_4_18_1', '', '2024-04-18T25:00'])
    await t.rejects(chooseRun(ACCOUNT, from), { code: 'USAGE' }, from);
});

t.test('a run without its manifest is named as damaged', async (t) => {
  const broken = RUNS.map((stored) => ({ ...stored, manifestSizeBytes: undefined }));
  await t.rejects(chooseRun(accountWith(broken, '2024_04_20_01'), 'latest'), {
    code: 'MANIFEST_DAMAGED',
    message: /2024_04_20_01/,
  });
});
