import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { BAKKER } from './harness/bakker.ts';
import { BAKKER_STORAGE } from './harness/storage-machine.ts';
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
