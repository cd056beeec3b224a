import { rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { makeWorld } from './harness/world.ts';

t.test('every unknown key is listed at once with the nearest valid name, exit 2', async (t) => {
  await using world = await makeWorld();
  await world.configure({
    intervall: '1h',
    excludes: ['x'],
    retention: { day: 3 },
    sources: [{ paht: '/x', path: '/y' }],
  });
  for (const command of [['backup'], ['list'], ['restore', '--to', '/nowhere'], ['verify'], ['retention']]) {
    const refused = await world.expect(command, 2);
    for (const [wrong, right] of [
      ['intervall', 'interval'],
      ['excludes', 'exclude'],
      ['day', 'days'],
      ['paht', 'path'],
    ]) {
      t.match(refused.stderr, new RegExp(`${wrong}.*\\b${right}\\b`), `${command[0]}: ${wrong}`);
    }
  }
});

t.test(
  'a missing configuration, no YAML, and misspelt commands and flags say what to do, exit 2',
  async (t) => {
    await using world = await makeWorld();
    t.match((await world.expect(['bakcup'], 2)).stderr, /backup/);
    t.match((await world.expect(['backup', '--forse'], 2)).stderr, /forse/);
    t.match((await world.expect([], 2)).stderr, /backup/);
    writeFileSync(world.bakker.configFile, 'account: [\n');
    t.match((await world.expect(['backup'], 2)).stderr, world.bakker.configFile);
    rmSync(world.bakker.configFile);
    t.match((await world.expect(['backup'], 2)).stderr, /init/);
  },
);

t.test('help, version and completion need no configuration', async (t) => {
  await using world = await makeWorld();
  rmSync(world.bakker.configFile);
  t.match((await world.expect(['--help'])).stdout, /restore/);
  t.match((await world.expect(['restore', '--help'])).stdout, /--overwrite/);
  t.match((await world.expect(['--version'])).stdout, /^\d+\.\d+\.\d+/m);
  t.match((await world.expect(['completion'])).stdout, /bakker/);
});
