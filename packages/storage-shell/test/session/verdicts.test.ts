import { MAX_JUDGED_RUNS, VERB, parseVerdictsReply } from '@bakker/impl-format';
import { cpSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { Shell, publishRun, statusOf, temporaryRoot } from './shell-client.ts';

const judged = async (shell: Shell, request: object = {}) =>
  parseVerdictsReply(await shell.json(VERB.verdicts, request));

t.test('each key is told what retention and scrub think of each run, and its figures', async (t) => {
  using root = temporaryRoot('verdicts');
  const first = await publishRun(root.path, { 'a/file': 'the past' });
  const second = await publishRun(root.path, { other: 'other' }, first);
  {
    await using unfinished = await Shell.open({ root: root.path });
    await unfinished.begin(second);
    await unfinished.end();
  }
  rmSync(`${root.account}/.bakker/receipts/${second}.json`);
  const inode = lstatSync(`${root.account}/${first}/a/file`).ino;
  const names = [
    { run: first, path: 'a/file' },
    { run: first, path: 'a/another' },
  ];
  const files = [{ inode, sha256: 'ab'.repeat(32), found: null, names }];
  const hurt = JSON.stringify({ version: 1, at: 77, manifests: [second], files });
  writeFileSync(`${root.account}/.bakker/hurt.json`, hurt);
  for (const options of [{}, { noRead: true }, { role: 'restore' as const }]) {
    await using shell = await Shell.open({ root: root.path, ...options });
    const { runs, hurtFoundAtMs, more } = await judged(shell);
    t.match(
      runs,
      [
        { run: first, keeps: true, hurtFiles: 2, isManifestHurt: false },
        { run: second, keeps: true, hurtFiles: 0, isManifestHurt: true, figures: null },
      ],
      JSON.stringify(options),
    );
    t.match(runs[0]?.figures, { status: 'complete', files: 1, sourceBytes: 1, startedAtMs: 1 });
    t.ok(Math.abs((runs[0]?.figures?.receivedAtMs ?? 0) - Date.now()) < 60_000);
    t.same([hurtFoundAtMs, more], [77, false]);
    t.same(
      (await judged(shell, { after: first })).runs.map(({ run }) => run),
      [second],
    );
    t.equal(await statusOf(judged(shell, { after: 'x' })), 5);
    t.equal(await statusOf(judged(shell, { receipts: true })), 5);
  }
});

t.test('figures that make no sense, or are of another run, are told of none', async (t) => {
  using root = temporaryRoot('verdicts-odd');
  const run = await publishRun(root.path, { file: 'x' });
  const note = `${root.account}/.bakker/receipts/${run}.json`;
  const receipt = JSON.parse(readFileSync(note, 'utf8')) as object;
  await using shell = await Shell.open({ root: root.path });
  const figures = async (change: object) => {
    writeFileSync(note, JSON.stringify({ ...receipt, ...change }));
    return (await judged(shell)).runs[0]?.figures;
  };
  t.match(await figures({}), { files: 1 });
  t.match(await figures({ receivedAtMs: 'never' }), { files: 1, receivedAtMs: null });
  for (const change of [
    { run: '2001_01_01_01' },
    { status: 'fine' },
    { startedAtMs: '1' },
    { finishedAtMs: -1 },
    { files: 0.5 },
    { sourceBytes: null },
    { addedBytes: 2 ** 60 },
  ])
    t.equal(await figures(change), null, JSON.stringify(change));
});

t.test('years of runs, whatever stands in their notes, are told in packets', async (t) => {
  using root = temporaryRoot('verdicts-many');
  const first = await publishRun(root.path, { file: 'x' });
  const receipt = readFileSync(`${root.account}/.bakker/receipts/${first}.json`, 'utf8');
  const count = 2 * MAX_JUDGED_RUNS + 5;
  const runs = [first];
  for (let number = 1; runs.length < count; number++) {
    const run = `1999_01_01_${String(number).padStart(2, '0')}`;
    cpSync(`${root.account}/${first}`, `${root.account}/${run}`, { recursive: true });
    writeFileSync(`${root.account}/${run}.impl`, 'x');
    const note = number % 3 === 0 ? 'no receipt' : receipt.replaceAll(first, run);
    writeFileSync(`${root.account}/.bakker/receipts/${run}.json`, note);
    runs.push(run as typeof first);
  }
  const reason = '\u20ac'.repeat(4096);
  writeFileSync(`${root.account}/.bakker/frozen.json`, JSON.stringify({ reason, sinceRun: first, atMs: 1 }));
  await using shell = await Shell.open({ root: root.path });
  const told = [];
  for (let after: string | undefined; ;) {
    const reply = await judged(shell, after === undefined ? {} : { after });
    told.push(...reply.runs);
    if (!reply.more) break;
    after = reply.runs.at(-1)?.run;
  }
  t.equal(told.length, count);
  t.ok(
    told.every(({ keeps }) => keeps === true),
    'none goes while it is frozen',
  );
  t.equal(told.filter(({ figures }) => figures === null).length, Math.floor((count - 1) / 3));
  writeFileSync(`${root.account}/.bakker/hurt.json`, '{"version":1,"at":1,"manifests":"all"}');
  mkdirSync(`${root.account}/.bakker/receipts/x`);
  t.equal((await judged(shell)).hurtFoundAtMs, null, 'what can not be understood is as nothing');
});
