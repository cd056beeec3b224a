import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { BAKKER, runBakker } from '../cli/run-bakker.ts';
import type { Ended } from '../cli/run-bakker.ts';

const PUBLIC = /^bakker-public-key:[a-z2-7]{56}$/;

t.test(
  'generate writes a private key that only its owner reads, and ends with the public key alone',
  async (t) => {
    using place = makePlace();
    const made = place.key('generate', '--out', place.at('a.key'));
    t.equal(made.status, 0);
    t.match(lastLine(made), PUBLIC);
    t.match(made.stderr, /is not protected/);
    t.equal(statSync(place.at('a.key')).mode & 0o777, 0o600);
    t.notMatch(made.stdout, /bakker-private-key/);
    const before = readFileSync(place.at('a.key'));
    const again = place.key('generate', '--out', place.at('a.key'));
    t.equal(again.status, 2, 'never over another file');
    t.ok(readFileSync(place.at('a.key')).equals(before));
    t.equal(place.key('generate').status, 2, 'not into nowhere');
    t.equal(place.key('generate', '--out', '/proc/no/a.key').status, 2);
    t.strictSame(readdirSync(place.folder), ['a.key'], 'nothing is left beside it');
  },
);

t.test('a protected key opens by its passphrase alone', async (t) => {
  using place = makePlace();
  writeFileSync(place.at('phrase'), 'correct horse\n');
  const made = place.key('generate', '--out', place.at('p.key'), '--passphrase-file', place.at('phrase'));
  t.equal(made.stderr, '');
  t.notMatch(readFileSync(place.at('p.key'), 'utf8'), /bakker-private-key:/);
  const check = (env: Record<string, string>): Ended =>
    place.keyWith(env, 'check', '--identity-key', place.at('p.key'));
  t.equal(check({ BAKKER_PASSPHRASE: 'correct horse' }).status, 0);
  mkdirSync(place.at('credentials'));
  writeFileSync(place.at('credentials/bakker-passphrase'), 'correct horse\n');
  t.equal(check({ CREDENTIALS_DIRECTORY: place.at('credentials') }).status, 0);
  refuses(t, check({ BAKKER_PASSPHRASE: 'wrong' }), /the passphrase is not the one/);
  refuses(t, check({}), /protected by a passphrase, and none was given/);
});

t.test(
  'a passphrase is the same with and without a newline, where it protects and where it opens',
  async (t) => {
    using place = makePlace();
    mkdirSync(place.at('credentials'));
    for (const [name, text] of [
      ['bare', 'secret'],
      ['unix', 'secret\n'],
      ['dos', 'secret\r\n'],
    ] as const) {
      const made = [`${name} variable`, `${name} file`].map((each) => place.at(each));
      const [byVariable = '', byFile = ''] = made;
      const env = { BAKKER_PASSPHRASE: text };
      t.equal(place.keyWith(env, 'generate', '--out', byVariable, '--passphrase').status, 0);
      writeFileSync(place.at('phrase'), text);
      t.equal(place.key('generate', '--out', byFile, '--passphrase-file', place.at('phrase')).status, 0);
      writeFileSync(place.at('credentials/bakker-passphrase'), text);
      for (const [opens, file] of [
        ...made.map((each) => [{ BAKKER_PASSPHRASE: 'secret' }, each] as const),
        [env, byFile],
        [{ CREDENTIALS_DIRECTORY: place.at('credentials') }, byVariable],
      ] as const)
        t.equal(place.keyWith(opens, 'check', '--identity-key', file).status, 0, file);
    }
    writeFileSync(place.at('phrase'), '\n');
    refuses(
      t,
      place.keyWith({ BAKKER_PASSPHRASE: '\n' }, 'generate', '--out', place.at('no'), '--passphrase'),
      /a passphrase is needed, and none was given/,
    );
    refuses(
      t,
      place.key('generate', '--out', place.at('no'), '--passphrase-file', place.at('phrase')),
      /there is no passphrase in/,
    );
    refuses(
      t,
      place.key('generate', '--out', place.at('no'), '--passphrase-file', place.at('nowhere')),
      /there is no passphrase file/,
    );
    for (const bytes of [
      'secret\n\n',
      'two\nlines',
      '\ufeffsecret',
      'se\u001b[Dcret',
      Buffer.from('s\xe9cret', 'latin1'),
    ]) {
      writeFileSync(place.at('phrase'), bytes);
      const made = place.key('generate', '--out', place.at('no'), '--passphrase-file', place.at('phrase'));
      t.equal(made.status, 2, 'nobody could type it');
      t.match(made.stderr, /the passphrase has more than one line, or what no keyboard types/);
    }
    t.equal(existsSync(place.at('no')), false);
  },
);

t.test('a flag that would be left aside is refused', async (t) => {
  using place = makePlace();
  writeFileSync(place.at('phrase'), 'horse\n');
  const bare = place.key('generate', '--paper', '--passphrase-file', place.at('phrase'));
  t.match(bare, { status: 2, stdout: '', stderr: /for paper is not protected by a passphrase/ });
  t.equal(place.key('generate', '--out', place.at('a'), '--paper').status, 0);
  t.equal(place.key('add', place.at('a'), '--name', 'mine').status, 0);
  for (const [flag, ...args] of [
    ['--name', 'generate', '--out', place.at('b'), '--name', 'b'],
    ['--out', 'list', '--out', place.at('b')],
    ['--passphrase', 'add', place.at('a'), '--passphrase'],
    ['--identity-key', 'remove', 'mine', '--identity-key', place.at('a')],
  ] as const)
    t.match(place.key(...args), { status: 2, stderr: new RegExp(`does not take ${flag}`) });
  t.equal(existsSync(place.at('b')), false);

  t.equal(place.key('add', place.at('a')).status, 0, 'it is there already');
  t.equal(place.key('add', place.at('a'), '--name', 'mine').status, 0);
  const renamed = place.key('add', place.at('a'), '--name', 'yours');
  t.match(renamed, { status: 2, stderr: /is there already, and is called mine/ });
  t.strictSame(
    listed(place).map(({ name }) => name),
    ['mine'],
  );
});

t.test('a private key is taken from the first place that has one', async (t) => {
  using place = makePlace();
  const ids: Record<string, string> = {};
  for (const name of ['flag', 'variable', 'named', 'credential', 'kept']) {
    ids[name] = JSON.parse(place.key('generate', '--json', '--out', place.at(name)).stdout).id;
  }
  mkdirSync(place.at('credentials'));
  writeFileSync(place.at('credentials/bakker-identity-key'), readFileSync(place.at('credential')), {
    mode: 0o600,
  });
  writeFileSync(place.at('identity.key'), readFileSync(place.at('kept')), { mode: 0o600 });
  const env: Record<string, string> = {
    BAKKER_IDENTITY_KEY: readFileSync(place.at('variable'), 'utf8'),
    BAKKER_IDENTITY_KEY_FILE: place.at('named'),
    CREDENTIALS_DIRECTORY: place.at('credentials'),
  };
  const idOf = (ended: Ended): unknown => JSON.parse(ended.stdout).id;
  t.equal(idOf(place.keyWith(env, 'check', '--json', '--identity-key', place.at('flag'))), ids['flag']);
  t.equal(idOf(place.keyWith(env, 'check', '--json')), ids['variable']);
  delete env['BAKKER_IDENTITY_KEY'];
  t.equal(idOf(place.keyWith(env, 'check', '--json')), ids['named']);
  delete env['BAKKER_IDENTITY_KEY_FILE'];
  t.equal(idOf(place.keyWith(env, 'check', '--json')), ids['credential']);
  delete env['CREDENTIALS_DIRECTORY'];
  t.equal(idOf(place.keyWith(env, 'check', '--json')), ids['kept']);
  rmSync(place.at('identity.key'));
  refuses(t, place.key('check'), /a private key is needed/);
});

t.test('missing, wrong and damaged keys end with 12 and one clear sentence', async (t) => {
  using place = makePlace();
  place.key('generate', '--out', place.at('mine'));
  place.key('generate', '--out', place.at('other'));
  place.key('add', place.at('mine'), '--name', 'mine');
  const check = (file: string): Ended => place.key('check', '--identity-key', place.at(file));
  t.equal(check('mine').status, 0);
  refuses(t, check('other'), /holds the key [0-9a-f]{16}, and this server seals to [0-9a-f]{16}/);
  refuses(t, check('nowhere'), /there is no key file/);
  const text = readFileSync(place.at('mine'), 'utf8');
  writeFileSync(
    place.at('hurt'),
    text.replace(/(bakker-private-key:.)./, (_all, kept: string) => `${kept}1`),
    { mode: 0o600 },
  );
  refuses(t, check('hurt'), /the checksum of the private key is wrong/);
  writeFileSync(place.at('public'), lastLine(place.key('generate', '--paper')), { mode: 0o600 });
  refuses(t, check('public'), /this is a public key; the private one is needed/);
  writeFileSync(place.at('ssh'), '-----BEGIN OPENSSH PRIVATE KEY-----\n', { mode: 0o600 });
  refuses(t, check('ssh'), /no private key of bakker/);
  writeFileSync(place.at('open'), text, { mode: 0o644 });
  t.match(check('open').stderr, /can be read by others/);
});

t.test('a private key in the place of a name is not repeated by any message', async (t) => {
  using place = makePlace();
  const { paper } = JSON.parse(place.key('generate', '--paper', '--out', place.at('a'), '--json').stdout);
  place.key('add', place.at('a'), '--name', 'mine');
  const line = readFileSync(place.at('a'), 'utf8').split('\n')[2] ?? '';
  for (const key of [line, line.toUpperCase(), String(paper), String(paper).replaceAll(/\s+/g, '-')]) {
    const said = [
      place.key('check', '--identity-key', key),
      place.keyWith({ BAKKER_IDENTITY_KEY_FILE: key }, 'check'),
      place.key('add', key),
      place.key('remove', key),
      place.key('rotate', key, place.at('a')),
      place.key('rotate', 'mine', key),
    ];
    for (const { status, stderr } of said) {
      t.equal(status, 2);
      t.match(stderr, /is a private key itself, and should be/);
      t.notMatch(stderr.toLowerCase(), key.slice(-8).toLowerCase());
    }
  }
  refuses(t, place.key('check', '--identity-key', 'identity'), /there is no key file identity/);
  refuses(t, place.key('check', '--identity-key', '20260101-20260102'), /there is no key file/);
});

t.test('of a file with several public keys none is taken for all of them', async (t) => {
  using place = makePlace();
  const [a, b] = ['a', 'b'].map((name) => lastLine(place.key('generate', '--out', place.at(name))));
  writeFileSync(place.at('both'), `${a} mine\n${b} theirs\n`);
  const added = place.key('add', place.at('both'));
  t.equal(added.status, 2);
  t.match(added.stderr, /holds 2 public keys, and one is taken at a time/);
  t.match(place.key('list').stdout, /No key yet/);
});

t.test('a key on paper opens; a mistyped one names the group', async (t) => {
  using place = makePlace();
  const { paper, id, file } = JSON.parse(place.key('generate', '--paper', '--json').stdout);
  t.equal(file, null);
  t.equal(JSON.parse(place.keyWith({ BAKKER_IDENTITY_KEY: paper }, 'check', '--json').stdout).id, id);
  const wrong = String(paper).replace(/\b5 (.)/, (_all, first: string) => `5 ${first === 'q' ? 'r' : 'q'}`);
  refuses(t, place.keyWith({ BAKKER_IDENTITY_KEY: wrong }, 'check'), /group 5 is mistyped/);
});

t.test('a key that another program writes piece by piece is read to its end', async (t) => {
  using place = makePlace();
  const { paper, id } = JSON.parse(place.key('generate', '--paper', '--json').stdout);
  const [first = '', ...others] = String(paper).split('\n');
  const script = 'echo "$1"; sleep 1; echo "$2"';
  const check = `( ${script} ) | exec "$3" key check --json --identity-key /dev/stdin --config "$4"`;
  const words = ['sh', first, others.join('\n'), BAKKER, place.at('bakker.yaml')];
  const { stdout, stderr } = spawnSync('sh', ['-c', check, ...words], { encoding: 'utf8' });
  t.equal(JSON.parse(stdout).id, id, stderr);
});

t.test('keys are added, listed, rotated and removed', async (t) => {
  using place = makePlace();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => lastLine(place.key('generate', '--out', place.at(name))));
  const names = (): string[] => listed(place).map(({ name }) => name);
  t.match(place.key('list').stdout, /No key yet/);
  t.equal(place.key('add', a ?? '', '--name', 'mine').status, 0);
  t.equal(place.key('add', place.at('b'), '--name', 'offline').status, 0, 'by the file of the private key');
  t.strictSame(names(), ['mine', 'offline']);
  const rotated = place.key('rotate', 'offline', c ?? '');
  t.match(rotated.stdout, /keep the old private key/);
  t.match(place.key('list').stdout, new RegExp(`${c}  offline`));
  t.notMatch(place.key('list').stdout, b);
  t.equal(place.key('rotate', 'mine', c ?? '').status, 2, 'not twice the same');
  t.equal(place.key('remove', 'mine').status, 0);
  t.equal(place.key('remove', 'offline').status, 2, 'never the last');
  t.strictSame(names(), ['offline']);
  t.equal(place.key('remove', 'nobody').status, 12);
  t.equal(place.key('add', place.at('nothing')).status, 12);
  t.equal(place.key('add', `${a?.slice(0, -1)}1`).status, 12);
  t.equal(place.key('add', a ?? '', '--name', 'two\nlines').status, 2);
  t.strictSame(
    readdirSync(place.folder).sort(),
    ['a', 'b', 'c', 'recipients'],
    'nothing is left beside them',
  );
});

t.test('a terminal is asked without showing what is typed', async (t) => {
  using place = makePlace();
  const command = [
    BAKKER,
    'key',
    'generate',
    '--out',
    place.at('t.key'),
    '--passphrase',
    '--config',
    place.at('c'),
  ];
  const typed = onTerminal(command, ['New passphrase: ', 'horsex\u007f', 'again: ', 'horse']);
  t.match(typed.shown, /bakker-public-key:/);
  t.notMatch(typed.shown, /horse/);
  const check = [BAKKER, 'key', 'check', '--identity-key', place.at('t.key'), '--config', place.at('c')];
  t.match(onTerminal(check, ['t.key: ', 'horse']).shown, /and is whole/);
  t.match(onTerminal(check, ['t.key: ', 'donkey']), { status: 12 });
  t.match(onTerminal(check, ['t.key: ', '\u0003']), { status: 130 });
  const differ = [...command.slice(0, 4), place.at('u.key'), ...command.slice(5)];
  t.match(onTerminal(differ, ['New passphrase: ', 'one', 'again: ', 'two']), { status: 12 });
  t.equal(existsSync(place.at('u.key')), false);
});

t.test('a key is typed from paper row by row, or pasted, and no row of it is left to anybody', async (t) => {
  using place = makePlace();
  const { paper, id } = JSON.parse(place.key('generate', '--paper', '--json').stdout);
  const rows: string[] = String(paper).split('\n');
  const check = [BAKKER, 'key', 'check', '--config', place.at('c')];
  for (const answers of [
    ['not shown): ', rows[0] ?? '', '... ', rows[1] ?? '', '... ', rows[2] ?? ''],
    ['not shown): ', rows.join('\r')],
    ['not shown): ', rows.join('\r\n')],
    ['not shown): ', rows.join(' ')],
    // one row mistyped, and the line deleted
    ['not shown): ', rows[0] ?? '', '... ', `nonsense\u0015${rows[1] ?? ''}`, '... ', rows[2] ?? ''],
  ]) {
    const typed = onTerminal(check, answers);
    t.match(typed, { status: 0, shown: id });
    for (const group of String(paper).match(/[a-z2-7]{8}/g) ?? []) t.notMatch(typed.shown, group);
  }
  const ended = onTerminal(check, ['not shown): ', rows[0] ?? '', '... ', '']);
  t.match(ended, { status: 12, shown: /has 9 groups of 8 characters, and here are 3/ });
});

function listed(place: Place): readonly { readonly name: string }[] {
  const recipients: { name: string }[] = JSON.parse(place.key('list', '--json').stdout);
  return recipients;
}

interface Place extends Disposable {
  readonly folder: string;
  at(name: string): string;
  key(...words: readonly string[]): Ended;
  keyWith(env: Readonly<Record<string, string>>, ...words: readonly string[]): Ended;
}

function makePlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'bakker-key-'));
  const at = (name: string): string => join(folder, name);
  const keyWith: Place['keyWith'] = (env, ...words) =>
    runBakker(['key', ...words, '--config', at('bakker.yaml'), '--state', at('state')], env);
  return {
    folder,
    at,
    keyWith,
    key: (...words) => keyWith({}, ...words),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function lastLine({ stdout }: Ended): string {
  return stdout.trimEnd().split('\n').at(-1) ?? '';
}

/** One sentence, and a hint. */
function refuses(t: Test, { status, stdout, stderr }: Ended, sentence: RegExp): void {
  t.equal(status, 12, stderr);
  t.equal(stdout, '');
  t.match(stderr, sentence);
  t.equal(stderr.trimEnd().split('\n').length, 2, stderr);
}

/** Runs a command at a terminal of its own: waits for each text, then types the next. */
function onTerminal(command: readonly string[], talk: readonly string[]): { status: number; shown: string } {
  const script = `
import json, os, pty, sys
command, talk = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown, seen = b"", 0
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if talk and talk[0].encode() in shown[seen:]:
        seen = len(shown)
        os.write(terminal, talk[1].encode() + b"\\r")
        talk = talk[2:]
print(json.dumps({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "shown": shown.decode()}))
`;
  const { NODE_OPTIONS: _followed, ...env } = process.env;
  const { stdout, stderr } = spawnSync(
    '/usr/bin/python3',
    ['-c', script, JSON.stringify(command), JSON.stringify(talk)],
    { encoding: 'utf8', timeout: 60_000, env },
  );
  if (stdout === '') throw new Error(stderr);
  const ended: { status: number; shown: string } = JSON.parse(stdout);
  return ended;
}
