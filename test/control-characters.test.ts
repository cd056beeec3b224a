import { rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { makeWorld } from './harness/world.ts';

const EVIL = 'evil\x1b]0;owned\x07\x9b31m\x7f\u202etxt.exe';

/** C0 but for tab and newline, DEL, C1 (as UTF-8), and marks that turn text around. */
const RAW = /[\0-\x08\x0b-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

t.test('names with control characters never reach a terminal raw', async (t) => {
  await using world = await makeWorld();
  writeFileSync(`${world.source}/${EVIL}`, 'one');
  writeFileSync(`${world.source}/${EVIL} 2`, 'two');
  const first = await world.backup();
  writeFileSync(`${world.source}/${EVIL}`, 'changed');
  rmSync(`${world.source}/${EVIL} 2`);
  const second = await world.backup();
  const run = first.run ?? '';
  rmSync(`${world.storage}/${second.run}${world.source}/${EVIL}`);
  const target = `${world.bakker.folder}/out`;
  for (const args of [
    ['ls', run],
    ['ls', run, world.source],
    ['diff', run, second.run ?? ''],
    ['verify'],
    ['restore', '--from', run, '--to', target, '--dry-run'],
    ['restore', '--from', run, '--to', target],
    ['restore', '--from', 'latest', '--to', `${target} 2`],
    ['cat', run, `${world.source}/no ${EVIL}`],
    ['restore', `/no ${EVIL}`, '--from', run, '--to', target],
    ['backup'],
    ['list'],
    ['status'],
    ['doctor'],
    [`no-such-command ${EVIL}`],
    ['ls', EVIL],
  ]) {
    const { stdout, stderr } = await world.bakker.run(args);
    const raw = RAW.exec(stdout) ?? RAW.exec(stderr);
    t.equal(raw, null, `${JSON.stringify(args)}: ${JSON.stringify((stdout + stderr).slice(0, 2000))}`);
  }
});

t.test('an account that holds names with control characters does not print them raw either', async (t) => {
  await using world = await makeWorld();
  writeFileSync(`${world.source}/file`, 'file');
  await world.backup();
  writeFileSync(`${world.storage}/${EVIL}`, '');
  for (const args of [['list'], ['verify'], ['doctor'], ['backup'], ['retention', '--explain']]) {
    const { stdout, stderr } = await world.bakker.run(args);
    t.equal(RAW.exec(stdout + stderr), null, args.join(' '));
  }
});
