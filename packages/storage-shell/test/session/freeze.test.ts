import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { Shell, publishRun, temporaryRoot } from './shell-client.ts';

const FILES = Object.fromEntries(
  Array.from({ length: 120 }, (_, index) => [`f${String(index).padStart(3, '0')}`, 'x']),
);

t.test(
  'a run that lost most files is published and freezes the account; one that kept them does not',
  async (t) => {
    using root = temporaryRoot('freeze');
    const first = await publishRun(root.path, FILES);
    await using shell = await Shell.open({ root: root.path });
    await shell.begin(first);
    await shell.tree((script) => {
      script.skip(Buffer.from('f000'));
      script.keepRest();
    });
    const kept = await shell.publish({ files: 119, bytes: 119 });
    t.equal(kept.frozen, null);
    await shell.cleanUp();
    const { run } = await shell.begin(kept.run);
    await shell.tree((script) => script.keepUntil(Buffer.from('f010')));
    const lost = await shell.publish({ files: 9, bytes: 9 });
    t.match(lost.frozen, { sinceRun: run, reason: /110 of 119 files \(92 %\)/ });
    t.match(JSON.parse(readFileSync(`${root.account}/.bakker/frozen.json`, 'utf8')), { sinceRun: run });
    t.match(JSON.parse(readFileSync(`${root.account}/.bakker/receipts/${run}.json`, 'utf8')), {
      parentFiles: 119,
      keptFiles: 9,
      frozen: /92 %/,
    });
    await shell.cleanUp();
    await shell.begin(run);
    await shell.tree((script) => script.keepRest());
    const again = await shell.publish({ files: 9, bytes: 9 }, { frozen: 'a guard said so' });
    t.same(again.frozen, lost.frozen, 'the first reason stays');
    await using other = await Shell.start({ root: root.path, role: 'restore' });
    t.same((await other.hello()).frozen, lost.frozen);
  },
);

t.test('the server can freeze its account, and so does a flood of runs', async (t) => {
  using root = temporaryRoot('flood');
  mkdirSync(`${root.account}/.bakker`);
  writeFileSync(`${root.account}/.bakker/account.yaml`, 'freeze:\n  max-runs-a-day: 2\n');
  {
    await using shell = await Shell.open({ root: root.path });
    await shell.begin();
    const asked = await shell.publish({}, { frozen: 'a guard said so' });
    t.equal(asked.frozen?.reason, 'a guard said so');
  }
  using flooded = temporaryRoot('flooded');
  mkdirSync(`${flooded.account}/.bakker`);
  writeFileSync(`${flooded.account}/.bakker/account.yaml`, 'freeze:\n  max-runs-a-day: 2\n');
  await using shell = await Shell.open({ root: flooded.path });
  for (const [isOfYesterday, isFrozen] of [
    [true, false],
    [false, false],
    [false, false],
    [false, true],
  ]) {
    await shell.begin();
    const { frozen, run, receivedAtMs } = await shell.publish({});
    await shell.cleanUp();
    t.equal(frozen !== null, isFrozen);
    t.equal(existsSync(`${flooded.account}/.bakker/frozen.json`), isFrozen);
    if (!isOfYesterday) continue;
    const file = `${flooded.account}/.bakker/receipts/${run}.json`;
    const receipt = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...receipt, receivedAtMs: receivedAtMs - 86_400_001 }));
  }
});

for (const choice of ['no parent', 'an older one'] as const) {
  t.test(`a server that compares with ${choice} is judged by the newest run all the same`, async (t) => {
    using root = temporaryRoot('passed-over');
    const few = await publishRun(root.path, { one: 'x' });
    await using shell = await Shell.open({ root: root.path });
    await shell.begin();
    const paths = Object.keys(FILES);
    await Promise.all(paths.map((path) => shell.put(path, Buffer.from('x'))));
    const many = await shell.publish({ files: 120, bytes: 120 });
    t.equal(many.frozen, null, 'there were fewer files before');
    await shell.cleanUp();
    await shell.begin(choice === 'no parent' ? undefined : few);
    if (choice === 'an older one') await shell.tree((script) => script.keepRest());
    const files = choice === 'no parent' ? 0 : 1;
    const { frozen } = await shell.publish({ files, bytes: files });
    t.match(frozen, { reason: new RegExp(`${120 - files} of 120 files`) });
  });
}

t.test('what stands where a freeze is noted, and can not be read as one, freezes all the same', async (t) => {
  using root = temporaryRoot('odd-freeze');
  const run = await publishRun(root.path, { file: 'x' });
  const note = `${root.account}/.bakker/frozen.json`;
  for (const put of [
    () => writeFileSync(note, '{"reason":'),
    () => writeFileSync(note, JSON.stringify({ reason: 'x'.repeat(70_000) })),
    () => mkdirSync(note),
    () => symlinkSync('elsewhere', note),
  ]) {
    rmSync(note, { recursive: true, force: true });
    put();
    using keeper = openKeeper(root.path, 'server1');
    t.match(keeper.frozen()?.reason, /can not be read/);
    t.equal(await keeper.remove(run, Date.now()), 'frozen');
  }
});
