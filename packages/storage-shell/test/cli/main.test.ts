import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { VERSION } from '../../src/cli/version.ts';

const BAKKER_STORAGE = new URL('../../bin/bakker-storage', import.meta.url).pathname;

function run(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(BAKKER_STORAGE, words, {
    encoding: 'utf8',
    env: { ...process.env, BAKKER_DEBUG: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, stdout, stderr };
}

t.test('help names every command, and each command its flags, with examples', (t) => {
  const overview = run(['--help']);
  t.equal(overview.status, 0);
  t.equal(overview.stderr, '');
  for (const { name, summary, flags, examples } of COMMANDS) {
    t.ok(overview.stdout.includes(summary), name);
    const help = run([name, '--help']);
    t.equal(help.status, 0, name);
    for (const flag of [...Object.keys(flags), 'root', 'json'].filter((flag) => flag.length > 1))
      t.match(help.stdout, new RegExp(`--(no-)?${flag}\\b`), `${name} --${flag}`);
    t.ok(examples.length > 0 && help.stdout.includes('Examples:'), `${name} has examples`);
  }
  t.end();
});

t.test('bash completes commands, their flags, and the values of those that have a set', (t) => {
  const { stdout: script } = run(['completion']);
  const offered = (...words: string[]): string => {
    const ask =
      'source /dev/stdin <<< "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bakker_storage; echo "${COMPREPLY[@]}"';
    const argv = ['--norc', '-c', ask, 'bash', 'bakker-storage', ...words];
    return spawnSync('bash', argv, { encoding: 'utf8', env: { SCRIPT: script } }).stdout.trim();
  };
  t.equal(offered(''), `${COMMANDS.map(({ name }) => name).join(' ')} help`);
  t.equal(offered('--root', '/x', 'prov'), 'provision');
  t.equal(offered('retention', '--emp'), '--empty-trash');
  t.equal(offered('shell', '--role', ''), 'backup restore');
  t.equal(offered('completion', 'z'), 'zsh');
  t.end();
});

t.test('the version is that of the package', (t) => {
  const about: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.match(about, { version: VERSION });
  t.same(run(['--version']), { status: 0, stdout: `${VERSION}\n`, stderr: '' });
  t.end();
});

t.test('what the command line can not mean ends with status 2, a reason and the next move', (t) => {
  const refused: readonly (readonly [string[], RegExp])[] = [
    [[], /^bakker-storage: no command given\n {2}give one of shell, provision/],
    [['provison'], /^bakker-storage: there is no command provison\n {2}did you mean provision\?\n$/],
    [
      ['scrub', '--acount', 'x'],
      /^bakker-storage: scrub: there is no flag --acount\n {2}did you mean --account/,
    ],
    [['shell', '--role', 'thief'], /^bakker-storage: shell: --role is one of backup, restore, not thief\n/],
    [['shell'], /^bakker-storage: shell: --account and --role are missing\n/],
  ];
  for (const [words, stderr] of refused)
    t.match(run(words), { status: 2, stdout: '', stderr }, JSON.stringify(words));
  t.end();
});

t.test('sessions start without what reads unusual command lines', (t) => {
  // The program's modules are resolved through this, and it says which of them are not its own.
  const spy = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      if (name === 'yargs' || name === 'yaml') process.stderr.write('loads ' + name + '\\n');
      return next(name, context);
    } });`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(spy)}` };
  const session = ['shell', '--root', '/nowhere/root', '--account', 'web1', '--role', 'backup', '--no-read'];
  const { status, stderr } = run(session, env);
  t.equal(status, 2);
  t.match(stderr, /^bakker-storage: .*web1/);
  t.match(run(['shell', '--root=/nowhere/root'], env).stderr, /^loads yargs\n/, 'it would be seen');
  t.end();
});
