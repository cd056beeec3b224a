import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runBakker } from './run-bakker.ts';

const script = runBakker(['completion', 'bash']).stdout;

/** What bash would offer for the last of `words`, by the script itself. */
function offered(words: readonly string[], cwd = '/'): string[] {
  const ask = `
source /dev/stdin <<< "$SCRIPT"
COMP_WORDS=(bakker "$@")
COMP_CWORD=$#
_bakker
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status, stderr } = spawnSync('bash', ['--norc', '-c', ask, 'bash', ...words], {
    encoding: 'utf8',
    cwd,
    env: { ...process.env, SCRIPT: script },
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.split('\n').filter((line) => line !== '');
}

t.test('commands are completed', (t) => {
  t.strictSame(offered(['']), [...COMMANDS.map(({ name }) => name), 'help']);
  t.strictSame(offered(['ba']), ['backup']);
  t.strictSame(offered(['--config', '/x', 'ba']), ['backup']);
  t.strictSame(offered(['help', 'ret']), ['retention']);
  t.end();
});

t.test('the flags of a command are completed, and only those', (t) => {
  t.strictSame(offered(['backup', '--f']), ['--force']);
  t.strictSame(offered(['--f']), []);
  for (const { name, flags } of COMMANDS) {
    const words = offered([name, '--']);
    for (const flag of Object.keys(flags)) t.ok(words.includes(`--${flag}`), `${name} --${flag}`);
  }
  t.end();
});

t.test('values of a set are completed', (t) => {
  t.strictSame(offered(['completion', 'b']), ['bash']);
  t.strictSame(offered(['restore', '--overwrite', 'if-']), ['if-changed', 'if-newer']);
  t.end();
});

t.test('files are completed, with spaces in their names', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-completion-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'my file'), '');
  mkdirSync(join(folder, 'my folder'));
  t.strictSame(offered(['--config', 'my'], folder).sort(), ['my file', 'my folder']);
  t.strictSame(offered(['restore', 'my f'], folder).sort(), ['my file', 'my folder']);
  t.end();
});

t.test('the script is valid bash, and zsh gets the same function', (t) => {
  t.equal(spawnSync('bash', ['-n'], { input: script }).status, 0);
  const zsh = runBakker(['completion', 'zsh']).stdout;
  t.match(zsh, /bashcompinit/);
  t.ok(zsh.includes('complete -F _bakker bakker'));
  t.end();
});
