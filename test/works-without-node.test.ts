import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import t from 'tap';
import { BAKKER } from './harness/bakker.ts';
import { BAKKER_STORAGE } from './harness/storage-machine.ts';
import { makeTempFolder } from './harness/temp-folder.ts';
import { makeWorld } from './harness/world.ts';

t.test('a timer whose PATH has no node runs the carried one, through a symlink too', async (t) => {
  await using world = await makeWorld();
  writeFileSync(`${world.source}/file`, 'file');
  // No node here, whatever /usr/bin holds; only what a launcher may expect.
  const bin = `${world.bakker.folder}/bin`;
  mkdirSync(bin);
  for (const tool of ['sh', 'env', 'readlink', 'uname', 'dirname']) {
    symlinkSync(
      execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(),
      `${bin}/${tool}`,
    );
  }
  symlinkSync(BAKKER, `${world.bakker.folder}/bakker`);
  const common = ['--config', world.bakker.configFile, '--state', world.bakker.stateDir];
  for (const program of [BAKKER, `${world.bakker.folder}/bakker`]) {
    const printed = execFileSync('env', ['-i', `PATH=${bin}`, program, 'backup', '--json', ...common], {
      encoding: 'utf8',
      cwd: '/',
    });
    t.match(JSON.parse(printed), { status: 'complete' });
  }
});

t.test(
  'a damaged openssl.cnf of the machine, which Node.js looks at, keeps neither program from starting',
  async (t) => {
    const folder = t.testdir({ 'openssl.cnf': 'no configuration' });
    for (const program of [BAKKER, BAKKER_STORAGE]) {
      const printed = execFileSync(program, ['--version'], {
        encoding: 'utf8',
        env: { ...process.env, OPENSSL_CONF: `${folder}/openssl.cnf` },
      });
      t.match(printed, /\d/);
    }
  },
);

t.test('in a checkout that nobody has set up yet, each program says what to run', async (t) => {
  for (const program of [BAKKER, BAKKER_STORAGE]) {
    // Elsewhere than in this checkout, whose Node.js a launcher below it would find.
    await using folder = await makeTempFolder('checkout');
    const launchers = `${folder.path}/packages/program/bin`;
    cpSync(dirname(program), launchers, { recursive: true });
    const start = (): string => {
      const { status, stderr } = spawnSync(`${launchers}/${basename(program)}`, ['--help']);
      t.equal(status, 2);
      return String(stderr);
    };
    t.match(start(), `is missing; run ${folder.path}/scripts/setup\n`);
    symlinkSync(dirname(dirname(dirname(process.execPath))), `${folder.path}/node_modules`);
    t.match(start(), `is not built yet; run ${folder.path}/scripts/setup\n`);
  }
});
