import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { BAKKER, installBakker, type Bakker } from './harness/bakker.ts';
import { compareTrees } from './harness/compare-trees.ts';
import { writeSampleTree } from './harness/sample-tree.ts';

interface Place extends AsyncDisposable {
  readonly bakker: Bakker;
  readonly source: string;
  readonly account: string;
  /** `init` with what every call needs, and `flags`. */
  init(...flags: readonly string[]): string[];
  expect(args: readonly string[], status?: number): ReturnType<Bakker['run']>;
  makeKey(name: string): Promise<{ readonly file: string; readonly publicKey: string }>;
  restores(t: Test, ...flags: readonly string[]): Promise<void>;
}

async function makePlace(): Promise<Place> {
  const bakker = await installBakker();
  const source = `${bakker.folder}/source`;
  const account = `${bakker.folder}/storage`;
  writeSampleTree(source, { files: 20 });
  mkdirSync(`${bakker.folder}/elsewhere`);
  const expect: Place['expect'] = async (args, status = 0) => {
    const result = await bakker.run(args);
    if (result.status === status) return result;
    throw new Error(
      `bakker ${args.join(' ')}: status ${result.status}, not ${status}\n${result.stdout}\n${result.stderr}`,
    );
  };
  let restores = 0;
  return {
    bakker,
    source,
    account,
    init: (...flags) => ['init', account, '--source', source, '--encrypt', ...flags],
    expect,
    async makeKey(name) {
      const file = `${bakker.folder}/elsewhere/${name}`;
      const { stdout } = await expect(['key', 'generate', '--out', file]);
      return { file, publicKey: stdout.trim().split('\n').at(-1) ?? '' };
    },
    async restores(t, ...flags) {
      restores += 1;
      const to = `${bakker.folder}/r${restores}`;
      await expect(['backup', '--force']);
      await expect(['restore', '--to', to, ...flags]);
      t.same(await compareTrees(source, `${to}${source}`), []);
    },
    [Symbol.asyncDispose]: () => bakker[Symbol.asyncDispose](),
  };
}

t.test('init --encrypt sets up sealed runs with hidden names', async (t) => {
  await using place = await makePlace();
  const mine = await place.makeKey('mine');
  const theirs = await place.makeKey('theirs');
  const flags = ['--hide-names', '--recipient', mine.publicKey, '--recipient', theirs.file];
  const made = await place.expect(place.init(...flags, '--yes'));
  t.match(made.stderr, /sealed to [0-9a-f]{16}, [0-9a-f]{16}/);
  t.match(readFileSync(place.bakker.configFile, 'utf8'), /^encrypt: \{ hide-names: true \}$/m);
  await place.restores(t, '--identity-key', mine.file);
  await place.restores(t, '--identity-key', theirs.file);
  const names = spawnSync('find', [place.account], { encoding: 'utf8' }).stdout;
  t.notMatch(names, /folder 0/);

  await place.expect(place.init(...flags, '--yes'), 0);
  const otherwise = await place.expect(place.init('--yes'), 2);
  t.match(
    otherwise.stderr,
    /encrypt says that names are hidden/,
    'a configuration that is there is left as it is',
  );
});

t.test('somebody has to show that a private key was kept', async (t) => {
  await using place = await makePlace();
  const mine = await place.makeKey('mine');
  const other = await place.makeKey('other');
  const flags = ['--recipient', mine.publicKey];
  t.match((await place.expect(place.init(...flags), 1)).stderr, /nobody showed that a private key/);
  const wrong = await place.expect(place.init(...flags, '--identity-key', other.file), 12);
  t.match(wrong.stderr, /this server would seal to/);
  t.notOk(existsSync(place.bakker.configFile), 'nothing is set up before');
  t.notOk(existsSync(`${place.bakker.folder}/etc/recipients`), 'and nobody is sealed to');
  await place.expect(place.init(...flags, '--identity-key', mine.file));
  await place.restores(t, '--identity-key', mine.file);
  t.notOk(existsSync(`${place.bakker.folder}/etc/identity.key`));
});

t.test('nobody to seal to is a mistake', async (t) => {
  await using place = await makePlace();
  t.match((await place.expect(place.init('--yes'), 2)).stderr, /nobody is named to seal to/);
  const args = ['init', place.account, '--source', place.source, '--hide-names', '--yes'];
  t.match((await place.expect(args, 2)).stderr, /--hide-names goes with --encrypt/);
  t.match(
    (await place.expect(place.init('--recipient', 'no-such-file', '--yes'), 12)).stderr,
    /neither a public key nor a file/,
  );
  t.notOk(existsSync(place.bakker.configFile));
});

t.test('a private key may stay on the server, which is said', async (t) => {
  await using place = await makePlace();
  const made = await place.expect(place.init('--keep-key', '--yes'));
  t.match(made.stderr, /whoever breaks into this server can read its past/);
  const kept = `${place.bakker.folder}/etc/identity.key`;
  t.equal(statSync(kept).mode & 0o777, 0o600);
  await place.restores(t);
  const paper = made.stderr
    .split('\n')
    .filter((line) => /^\s+[147] /.test(line))
    .join('\n');
  writeFileSync(`${place.bakker.folder}/paper`, paper);
  await place.restores(t, '--identity-key', `${place.bakker.folder}/paper`);
});

t.test('at a terminal a key is made, shown once, and a part of it is asked for', async (t) => {
  await using place = await makePlace();
  const common = ['--config', place.bakker.configFile, '--state', place.bakker.stateDir];
  const question = 'of it: ';
  const wrong = onTerminal([BAKKER, ...place.init(), ...common], [question, 'abcdefgh']);
  t.equal(wrong.status, 1);
  t.match(wrong.shown, /that is not group [1-9]/);
  t.notOk(existsSync(place.bakker.configFile));
  t.notOk(
    existsSync(`${place.bakker.folder}/etc/recipients`),
    'a key that nobody has is sealed to by nobody',
  );

  const right = onTerminal([BAKKER, ...place.init(), ...common], [question, '@group']);
  t.equal(right.status, 0, right.shown);
  const groups = [...right.shown.matchAll(/\b[1-9] +([a-z2-7]{8})\b/g)].map(([, group]) => group);
  t.equal(groups.length, 9);
  writeFileSync(`${place.bakker.folder}/paper`, groups.join(' '));
  await place.restores(t, '--identity-key', `${place.bakker.folder}/paper`);
});

/** Runs a command at a terminal of its own: waits for a text, then types; `@group` is the group that is asked for. */
function onTerminal(command: readonly string[], talk: readonly string[]): { status: number; shown: string } {
  const script = `
import json, os, pty, re, sys
command, talk = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if talk and talk[0].encode() in shown:
        answer = talk[1].encode()
        if answer == b"@group":
            number = re.search(rb"type group (\\d)", shown).group(1)
            answer = re.search(rb"\\b" + number + rb" +([a-z2-7]{8})\\b", shown).group(1)
        os.write(terminal, answer + b"\\r")
        talk = talk[2:]
print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "shown": shown.decode()}))
`;
  const { NODE_OPTIONS: _followed, ...env } = process.env;
  const args = ['-c', script, JSON.stringify(command), JSON.stringify(talk)];
  const { stdout, stderr } = spawnSync('/usr/bin/python3', args, { encoding: 'utf8', timeout: 60_000, env });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as { status: number; shown: string };
}
