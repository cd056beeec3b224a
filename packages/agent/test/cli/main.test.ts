import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { VERSION } from '../../src/cli/version.ts';
import { BAKKER, makeBench, runBakker } from './run-bakker.ts';

/** A terminal of a hundred columns; a default may stand out a little. */
function tooWide(help: string): string[] {
  return help.split('\n').filter((line) => line.length > 105);
}

t.test('help names every command, and each command its flags, with examples', (t) => {
  const overview = runBakker(['--help']);
  t.equal(overview.status, 0);
  t.equal(overview.stderr, '');
  for (const { name, summary, flags, examples } of COMMANDS) {
    t.match(overview.stdout, new RegExp(`^  ${name}\\b.*${summary.slice(0, 20)}`, 'm'), name);
    const help = runBakker([name, '--help']);
    t.equal(help.status, 0, name);
    for (const flag of [...Object.keys(flags), 'config', 'state', 'json', 'quiet']) {
      t.match(help.stdout, new RegExp(`--${flag}\\b`), `${name} --${flag}`);
    }
    t.ok(examples.length > 0 && help.stdout.includes('Examples:'), `${name} has examples`);
    t.same(tooWide(help.stdout), [], name);
    t.same(runBakker(['help', name]), help, `help ${name}`);
  }
  t.same(tooWide(overview.stdout), []);
  t.same(runBakker(['help']), overview);
  t.same(runBakker(['-h']), overview);
  t.end();
});

t.test('the version is that of the package', (t) => {
  const about: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.match(about, { version: VERSION });
  t.equal(runBakker(['--version']).stdout, `${VERSION}\n`);
  t.end();
});

t.test('what the command line can not mean ends with status 2, a reason and the next move', (t) => {
  const refused: readonly (readonly [string[], RegExp, RegExp])[] = [
    [[], /^bakker: no command given$/, /give one of init, backup/],
    [['bakup'], /there is no command bakup/, /did you mean backup\?/],
    [['snapshots'], /there is no command snapshots/, /did you mean list\?/],
    [['constructor'], /there is no command constructor/, /bakker --help lists the commands/],
    [['retenshun'], /there is no command retenshun/, /did you mean retention\?/],
    [['xyzzy'], /there is no command xyzzy/, /bakker --help/],
    [['help', 'bakup'], /there is no command bakup/, /did you mean backup\?/],
    [['evil\x1b[31m'], /there is no command evil\\x1b\[31m/, /bakker --help/],
    [['--jsn'], /there is no flag --jsn/, /did you mean --json\?/],
    [['backup', '--dryrun'], /backup: there is no flag --dryrun/, /did you mean --dry-run\?/],
    [['backup', '--forse=yes'], /there is no flag --forse/, /did you mean --force\?/],
    [['backup', '--xyzzy'], /there is no flag --xyzzy/, /bakker backup --help/],
    [['backup', '-x'], /there is no flag -x/, /bakker backup --help/],
    [['backup', 'now'], /backup: now is one word too many/, /bakker backup --help/],
    [['status', '--max-age', 'soon'], /--max-age soon is no time/, /26h/],
    [['status', '--max-age'], /--max-age needs a value/, /bakker status --help/],
    [['status', '--max-age=1d', '--max-age=2d'], /--max-age is given more than once/, /help/],
    [['completion', 'fish'], /SHELL is one of bash, zsh, not fish/, /completion/],
    [['init'], /init: ACCOUNT is missing/, /bakker init --help/],
    [['restore', '--overwrite', 'maybe'], /--overwrite is one of .*, not maybe/, /help/],
  ];
  for (const [words, reason, hint] of refused) {
    const { status, stdout, stderr } = runBakker(['--state=/nowhere/state', ...words]);
    const [first = '', second = '', ...rest] = stderr.split('\n');
    t.equal(status, 2, JSON.stringify(words));
    t.equal(stdout, '');
    t.match(first, reason);
    t.match(second, hint);
    t.match(second, /^ {2}\S/);
    t.same(rest, [''], 'two lines');
  }
  t.end();
});

t.test(
  'a timer starts its command, and a person the overview, without what reads unusual command lines',
  (t) => {
    const spy = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      if (name === 'yargs') process.stderr.write('loads yargs\\n');
      return next(name, context);
    } });`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(spy)}` };
    const missing = ['--config', '/nowhere/bakker.yaml', 'backup', '--quiet'];
    t.match(runBakker(missing, env).stderr, /^bakker: there is no configuration file/);
    t.equal(runBakker(['--help'], env).stderr, '');
    t.equal(runBakker(['status', '--help'], env).stderr, 'loads yargs\n', 'it would be seen');
    t.end();
  },
);

t.test('all mistakes in a configuration are listed at once, exit 2', (t) => {
  using bench = makeBench('intervall: 5\nretention: {day: 3}\nchannels: many\n');
  for (const command of ['backup', 'retention']) {
    const { status, stdout, stderr } = bench.run(command, '--json');
    t.equal(status, 2);
    t.equal(stdout, '', 'nothing is on standard output when a command fails');
    t.match(stderr, /3 problems/);
    t.match(stderr, /line 4: intervall: unknown key; did you mean interval\?/);
    t.match(stderr, /line 5: retention\.day: unknown key; did you mean days\?/);
    t.match(stderr, /line 6: channels: must be auto or/);
  }
  t.notOk(existsSync(`${bench.stateDir}/last.json`));
  t.end();
});

t.test('a missing configuration points to init', (t) => {
  const { status, stderr } = runBakker(['backup', '--config', '/nowhere/bakker.yaml']);
  t.equal(status, 2);
  t.match(
    stderr,
    /there is no configuration file \/nowhere\/bakker\.yaml\n {2}bakker --config \/nowhere\/bakker\.yaml init ACCOUNT/,
    'the command that it names would write that file',
  );
  t.end();
});

t.test('flags may stand before the command and after it, and words after -- are no flags', (t) => {
  using bench = makeBench();
  t.equal(bench.run('backup', '--quiet').status, 0);
  const flags = ['--config', bench.configFile, '--state', bench.stateDir];
  t.equal(runBakker([...flags, 'status']).status, 0);
  t.equal(runBakker([`--config=${bench.configFile}`, `--state=${bench.stateDir}`, 'status']).status, 0);
  const { status, stderr } = runBakker(['status', ...flags, '--', '--json']);
  t.equal(status, 2);
  t.match(stderr, /--json is one word too many/);
  t.end();
});

t.test('a backup says in plain words what is safe now', (t) => {
  using bench = makeBench();
  const first = bench.run('backup');
  t.equal(first.status, 0);
  t.match(first.stdout, /^Run \d{4}_\d\d_\d\d_01 is complete: 1 file \(7 B\); 1 new\. Sent 7 B in .+ s\.\n$/);
  writeFileSync(`${bench.source}/more`, 'more');
  const dry = bench.run('backup', '--dry-run');
  t.match(dry.stdout, /^A run would hold 2 files \(11 B\); 1 new, 1 unchanged\. .*nothing was sent\.\n$/);
  const second = bench.run('backup');
  t.match(second.stdout, /_02 is complete: 2 files \(11 B\); 1 new, 1 unchanged\./);
  t.end();
});

t.test('--json prints one value, --quiet nothing but warnings', (t) => {
  using bench = makeBench();
  const { stdout, stderr } = bench.run('backup', '--json', '--quiet');
  t.equal(stderr, '');
  t.match(JSON.parse(stdout), {
    status: 'complete',
    parent: null,
    files: { total: 1, new: 1 },
    warnings: { length: 0 },
  });
  t.equal(stdout.split('\n').length, 2, 'one line');
  t.end();
});

t.test('a reader that goes away is no failure', (t) => {
  const script = `"$0" completion | true; echo "\${PIPESTATUS[0]}"; "$0" --help | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script, BAKKER], { encoding: 'utf8' });
  t.equal(stdout, '0\n0\n');
  t.equal(stderr, '');
  t.end();
});

t.test('standard output that is full is a failure', (t) => {
  const { status, stderr } = spawnSync('sh', ['-c', '"$0" --help > /dev/full', BAKKER], { encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, /standard output can't be written: ENOSPC/);
  t.end();
});

t.test('status tells monitoring whether the last success is young enough', (t) => {
  using bench = makeBench();
  const never = bench.run('status');
  t.equal(never.status, 1);
  t.match(never.stdout, /No backup of this machine has ever succeeded/);
  t.match(JSON.parse(bench.run('status', '--json').stdout), { health: 'never', lastSuccess: null });
  t.equal(bench.run('backup').status, 0);
  const fine = bench.run('status', '--json');
  t.equal(fine.status, 0);
  t.match(JSON.parse(fine.stdout), {
    health: 'ok',
    lastSuccess: { status: 'complete' },
    retentionFrozen: null,
  });
  t.match(bench.run('status').stdout, /^Last success: run \d{4}_\d\d_\d\d_01, complete, .* ago\.\n$/);
  t.end();
});

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${name} stops a command that waits for its storage, with status 130`, async (t) => {
    const server = createServer();
    const called = new Promise<Socket>((resolve) => server.once('connection', resolve));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.teardown(() => server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    using bench = makeBench();
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${bench.folder}/key`]);
    writeFileSync(
      bench.configFile,
      `account: ssh://nobody@127.0.0.1:${port}/x
identity: ${bench.folder}/key
host-key: SHA256:${'A'.repeat(43)}
sources: [${bench.source}]
`,
    );
    const running = spawn(BAKKER, ['retention', '--config', bench.configFile, '--state', bench.stateDir]);
    const said: Buffer[] = [];
    running.stderr.on('data', (piece: Buffer) => said.push(piece));
    const socket = await called;
    running.kill(name);
    t.strictSame(await once(running, 'close'), [130, null]);
    socket.destroy();
    t.match(Buffer.concat(said).toString(), new RegExp(`bakker: interrupted by ${name}`));
  });
}
