import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';

const INDEX = new URL('../src/index.ts', import.meta.url).href;

/** Runs `syncEverything(500)` in a process of its own that finds this script as `sync`, or none. */
function callIn(t: Test, script: string | undefined): { stdout: string; seconds: number; folder: string } {
  const folder = t.testdir();
  if (script !== undefined) {
    writeFileSync(`${folder}/sync`, `#!/bin/sh\n${script}\n`);
    chmodSync(`${folder}/sync`, 0o755);
  }
  writeFileSync(
    `${folder}/call.ts`,
    `import { syncEverything } from '${INDEX}';\nconsole.log(await syncEverything(500));\n`,
  );
  const startedMs = performance.now();
  const { stdout } = spawnSync(process.execPath, [`${folder}/call.ts`], {
    encoding: 'utf8',
    env: { ...process.env, PATH: folder },
    timeout: 20_000,
  });
  return { stdout, seconds: (performance.now() - startedMs) / 1000, folder };
}

t.test('it is told whether everything was written', (t) => {
  t.equal(callIn(t, ': > "${0%/*}/done"').stdout, 'true\n');
  t.equal(readFileSync(`${t.testdirName}/done`, 'utf8'), '');
  t.equal(callIn(t, 'exit 1').stdout, 'false\n');
  t.equal(callIn(t, undefined).stdout, 'false\n');
  t.end();
});

t.test('one that does not end keeps nobody: the process ends beside it', (t) => {
  const { stdout, seconds, folder } = callIn(
    t,
    'echo $$ > "${0%/*}/pid"; trap "" TERM INT HUP; while :; do /bin/sleep 1; done',
  );
  t.equal(stdout, 'false\n');
  t.ok(seconds < 20, `${seconds} s`);
  const pid = Number(readFileSync(`${folder}/pid`, 'utf8'));
  t.ok(process.kill(pid, 0), 'it still waits');
  process.kill(pid, 'SIGKILL');
  t.end();
});
