import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import t from 'tap';
import type { Results } from '../../bench/figures.ts';
import { render, type Verdict } from '../../bench/report.ts';
import { TARGETS } from '../../bench/targets.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const RUN = resolve(import.meta.dirname, '../../bench/run.ts');

t.test('a target is judged by medians, against the quickest peer', async (t) => {
  const results: Results = {
    machine: {},
    settings: {},
    figures: {
      seconds: {
        'full restore': {
          'bakker, shell': [9, 2, 2.2],
          rsync: [4, 4, 1],
          restic: [5, 5, 5],
          borg: [3, 3, 9],
        },
      },
      wireBytes: { '10 % renamed': { bakker: [5e6 + 1] } },
    },
  };
  const { text, verdicts } = render(results);
  t.match(verdicts, [
    { what: 'plain: 10 % renamed, bytes on the wire', value: 5e6 + 1, isReached: false },
    { what: 'shell: full restore, to rsync, restic, borg', value: 2.2, base: 3, isReached: false },
  ]);
  t.match(
    text,
    /shell: full restore, to rsync, restic, borg +\| +2\.20 \| +3\.00 \| +0\.73 \| +≤ 0\.7 \| NOT REACHED/,
  );
  t.match(text, '0 of 2 targets reached');
  t.equal(new Set(TARGETS.map(({ what }) => what)).size, TARGETS.length, 'no target is there twice');
});

t.test('the benchmark measures, and prints verdicts', async (t) => {
  await using temp = await makeTempFolder('benchmark');
  const measure = async (name: string, args: readonly string[]) => {
    const json = `${temp.path}/${name}.json`;
    const { status, said } = await bench(['--rounds', '1', '--json', json, ...args]);
    t.equal(status, 0, said);
    t.match(said, /of \d+ targets reached/);
    return JSON.parse(await readFile(json, 'utf8')) as Results & { verdicts: Verdict[] };
  };
  const tools = ['--tool', 'bakker, sealed', '--tool', 'bakker, shell'];
  // side by side, as most of it is waiting
  const [small, large] = await Promise.all([
    measure('small', ['--only', 'small', '--files', '500', ...tools]),
    measure('large', ['--only', 'changed', '--large-gib', '0.02', '--tool', 'rsync']),
  ]);
  for (const load of ['first run', 'nothing changed', '1 % changed', '10 % renamed', 'full restore'])
    for (const tool of ['bakker, sealed', 'bakker, shell'])
      t.ok(Number(small.figures.seconds?.[load]?.[tool]?.[0]) > 0, `${load}, ${tool}`);
  t.ok(small.verdicts.some(({ what }) => what === 'sealed: nothing changed, to unsealed'));
  for (const load of ['changed, ext4', 'changed, reflink']) {
    const { sentBytes, addedBytes } = large.figures;
    const changed = 16 * 65_536 + 2 * 2 ** 20;
    t.equal(sentBytes?.[load]?.['allowed']?.[0], 1.15 * changed + 3 * 65_536);
    t.ok(Number(sentBytes?.[load]?.['rsync']?.[0]) > changed, 'what changed went over the line');
    t.ok(Number(addedBytes?.[load]?.['rsync']?.[0]) > changed, 'and is on the disk');
  }
});

t.test('what it does not know is refused', async (t) => {
  const { status, said } = await bench(['--only', 'everything']);
  t.equal(status, 2);
  t.match(said, /--only takes small \| limits .*; not everything/);
});

async function bench(args: readonly string[]): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', RUN, ...args], {
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const status = await new Promise<number | null>((done) => child.on('close', done));
  return { status, said };
}
