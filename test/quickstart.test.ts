import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { fingerprintTree } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { makeTempFolder } from './harness/temp-folder.ts';

const QUICKSTART = resolve(import.meta.dirname, '../scripts/quickstart');
const leftovers = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('bakker-quickstart-'));

t.test(
  "README's first command does what it says with a folder of the user's, and leaves it alone",
  async (t) => {
    await using temp = await makeTempFolder('quick');
    const folder = `${temp.path}/my data`;
    writeSampleTree(folder, { files: 100 });
    const before = await fingerprintTree(folder);
    const printed = execFileSync(QUICKSTART, [folder], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.match(printed, /same inode/);
    t.match(printed, /identical/);
    t.equal(await fingerprintTree(folder), before);
    t.same(leftovers(), []);
  },
);

t.test('interrupted, it cleans up', async (t) => {
  await using temp = await makeTempFolder('quick');
  const folder = `${temp.path}/data`;
  mkdirSync(folder);
  writeSampleTree(folder, { files: 100 });
  const child = spawn(QUICKSTART, [folder], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let heard = '';
  child.stdout.on('data', (bytes: Buffer) => (heard += bytes.toString()));
  const closed = new Promise<number | null>((done) => child.on('close', done));
  while (!heard.includes('bakker backup') && child.exitCode === null) await delay(5);
  // As a terminal does: to the whole group.
  process.kill(-(child.pid ?? 0), 'SIGINT');
  t.equal(await closed, 130);
  t.same(leftovers(), []);
  t.notMatch(
    readFileSync('/etc/passwd', 'utf8'),
    `bakker-test-of-process-${child.pid}:`,
    'no user of it is left',
  );
});
