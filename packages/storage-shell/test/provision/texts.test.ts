import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseAccountName } from '../../src/provision/account-name.ts';
import type { AccountRecord } from '../../src/provision/account-record.ts';
import { parseRecord, renderRecord } from '../../src/provision/account-record.ts';
import { checkAgentYaml } from '../../src/provision/agent-yaml.ts';
import { fstabLine, withFstabEntry, withoutFstabEntry } from '../../src/provision/fstab.ts';
import { joinGroup, leaveGroups, parseGroups } from '../../src/provision/groups.ts';
import { renderKeyFile } from '../../src/provision/key-file.ts';
import { changedPolicy } from '../../src/provision/policy-file.ts';
import { keyFingerprint, parsePublicKeys } from '../../src/provision/public-key.ts';
import type { PublicKey } from '../../src/provision/public-key.ts';
import { parseAccountPolicy } from '../../src/policy/parse-policy.ts';

const LAUNCHER = '/usr/local/lib/bakker/bin/bakker-storage';
const folder = mkdtempSync(join(tmpdir(), 'bakker-keys-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

function newKey(type: string, ...args: string[]): { key: PublicKey; text: string; file: string } {
  const file = join(folder, `${type}-${Math.random().toString(36).slice(2)}`);
  execFileSync('ssh-keygen', ['-q', '-t', type, ...args, '-N', '', '-C', 'who@where "x"', '-f', file]);
  const text = readFileSync(`${file}.pub`, 'utf8');
  const [key] = parsePublicKeys(text, file);
  if (key === undefined) throw new Error('no key');
  return { key, text, file };
}

const K1 = newKey('ed25519').key;
const K2 = newKey('ed25519').key;
const K3 = newKey('ed25519').key;

function account(name: string, change: Partial<AccountRecord> = {}): AccountRecord {
  return {
    name: parseAccountName(name),
    rootDir: '/backups',
    backend: { kind: 'dir' },
    state: 'ready',
    keys: [],
    grants: [],
    ceilingBytes: undefined,
    ...change,
  };
}

t.test('keys of every kind that ssh-keygen makes are read, and their fingerprints are its', (t) => {
  for (const args of [['ed25519'], ['rsa', '-b', '2048'], ['ecdsa', '-b', '521']] as const) {
    const { key, file } = newKey(args[0], ...args.slice(1));
    const printed = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`]).toString();
    t.match(printed, keyFingerprint(key), args[0]);
    t.notMatch(key, 'who@where', 'the comment, which could hold anything, is left out');
  }
  t.end();
});

t.test('what is no public key, or more than one, is refused', (t) => {
  const { file } = newKey('ed25519');
  for (const text of [
    '',
    '# only a comment\n',
    `command="x" ${K1}`,
    K1.slice(0, -4),
    K1.replace('ssh-ed25519', 'ssh-rsa'),
    `${K1}\nssh-dss AAAAB3NzaC1kc3M=`,
    'ssh-ed25519-cert-v01@openssh.com AAAA',
    'ssh-ed25519 AAAA"\ncommand="x',
  ]) {
    t.throws(() => parsePublicKeys(text, 'f'), { code: 'USAGE' }, text.slice(0, 40));
  }
  t.throws(() => parsePublicKeys(readFileSync(file, 'utf8'), 'f'), { message: /private key/ });
  t.end();
});

t.test('names that could be read as anything else than a name are refused', (t) => {
  for (const name of ['', 'Web1', '1web', '-x', 'a b', 'a/b', '..', 'a\n', 'ü', 'a'.repeat(32), 'a$b', "a'b"])
    t.throws(() => parseAccountName(name), { code: 'USAGE' }, JSON.stringify(name));
  for (const name of ['web1', 'db-2', 'a_b', 'a'.repeat(31)]) t.equal(parseAccountName(name), name);
  t.end();
});

t.test('each key gets one line with its forced command, and a comment that says why', (t) => {
  const web1 = account('web1', {
    keys: [{ key: K1, mayRead: false }],
    grants: [{ to: 'account', name: parseAccountName('web2') }],
  });
  const web2 = account('web2', { keys: [{ key: K2, mayRead: true }] });
  const text = renderKeyFile(undefined, {
    record: web1,
    records: [web1, web2],
    groups: new Map(),
    launcher: LAUNCHER,
  });
  t.same(text.split('\n').slice(1, -2), [
    `# backup, reads nothing back: web1, ${keyFingerprint(K1)}`,
    `restrict,command="${LAUNCHER} shell --root /backups --account web1 --role backup --no-read" ${K1}`,
    `# restore: granted to web2, ${keyFingerprint(K2)}`,
    `restrict,command="${LAUNCHER} shell --root /backups --account web1 --role restore" ${K2}`,
  ]);
  t.end();
});

t.test('a grant to a group is for whoever is in it when the file is made', (t) => {
  const web1 = account('web1', { grants: [{ to: 'group', name: 'webs' }] });
  const web2 = account('web2', { keys: [{ key: K2, mayRead: true }] });
  const db = account('db', { keys: [{ key: K3, mayRead: true }] });
  const records = [web1, web2, db];
  const made = (members: string[]) =>
    renderKeyFile(undefined, {
      record: web1,
      records,
      groups: new Map([['webs', members.map(parseAccountName)]]),
      launcher: LAUNCHER,
    });
  t.match(made(['web2']), K2);
  t.notMatch(made(['web2']), K3);
  t.match(made(['web2', 'db']), K3);
  t.notMatch(made([]), 'ssh-');
  t.notMatch(made(['gone']), 'ssh-', 'an account that is not there');
  t.end();
});

t.test('a closed account opens to nobody, and its keys open no other', (t) => {
  const closed = account('web1', {
    state: 'closed',
    keys: [{ key: K1, mayRead: true }],
    grants: [{ to: 'key', key: K3 }],
  });
  const open = account('web2', { grants: [{ to: 'account', name: closed.name }] });
  for (const record of [closed, open])
    t.notMatch(
      renderKeyFile(undefined, { record, records: [closed, open], groups: new Map(), launcher: LAUNCHER }),
      'ssh-',
    );
  t.end();
});

t.test('the backup key of an account stays one, whatever is granted to it besides', (t) => {
  const web1 = account('web1', {
    keys: [{ key: K1, mayRead: true }],
    grants: [
      { to: 'key', key: K1 },
      { to: 'key', key: K2 },
    ],
  });
  const text = renderKeyFile(undefined, {
    record: web1,
    records: [web1],
    groups: new Map(),
    launcher: LAUNCHER,
  });
  t.equal(text.split(K1).length, 2, 'once: sshd takes the first line that fits');
  t.match(text, `--role backup" ${K1}`);
  t.end();
});

t.test('lines of others in a key file stay, wherever they are', (t) => {
  const web1 = account('web1', { keys: [{ key: K1, mayRead: true }] });
  const parts = { record: web1, records: [web1], groups: new Map(), launcher: LAUNCHER };
  const mine = `# the admin's own\nrestrict,command="x" ${K3}`;
  const first = renderKeyFile(`${mine}\n`, parts);
  t.ok(first.startsWith(`${mine}\n# BEGIN bakker`));
  const later = renderKeyFile(`${first}# below\n`, { ...parts, record: { ...web1, keys: [] } });
  t.ok(later.startsWith(mine));
  t.match(later, /# END bakker\n# below\n$/);
  t.notMatch(later, K1);
  t.equal(
    renderKeyFile(later, { ...parts, record: { ...web1, keys: [] } }),
    later,
    'and once more changes nothing',
  );
  t.notMatch(
    renderKeyFile(first.replace('# END bakker\n', ''), { ...parts, record: { ...web1, keys: [] } }),
    K1,
    'a lost end keeps no key of ours',
  );
  t.end();
});

t.test(
  'a record is read back as it was written; a damaged one is never taken for one without grants',
  (t) => {
    const record = account('web1', {
      backend: { kind: 'lvm', vg: 'backups', fs: 'ext4' },
      keys: [{ key: K1, mayRead: false }],
      grants: [
        { to: 'key', key: K2 },
        { to: 'account', name: parseAccountName('web2') },
        { to: 'group', name: 'webs' },
      ],
      ceilingBytes: 50 * 2 ** 30,
    });
    const at = { name: record.name, file: 'f' };
    t.same(parseRecord(renderRecord(record), at), record);
    const text = renderRecord(record);
    for (const damaged of [
      '',
      '[',
      text.replace('state: ready', 'state: x'),
      text.replace(/^grants:[^]*/m, ''),
      text.replace(/AAAAC3/, 'AAAAC4'),
      text.replace('vg: backups\n', ''),
    ])
      t.throws(() => parseRecord(damaged, at), { name: 'StorageError' }, damaged.slice(0, 30));
    t.end();
  },
);

t.test('groups keep what an administrator wrote into the file', (t) => {
  const web1 = parseAccountName('web1');
  const file = 'groups.yaml';
  const first = joinGroup(undefined, { group: 'webs', account: web1, file }) ?? '';
  t.same(parseGroups(first, file).get('webs'), ['web1']);
  t.equal(joinGroup(first, { group: 'webs', account: web1, file }), undefined, 'is in it');
  const edited = `# mine\nwebs: [web1] # both\ndbs: [db1]\n`;
  const joined = joinGroup(edited, { group: 'webs', account: parseAccountName('web2'), file }) ?? '';
  t.match(joined, '# mine');
  t.same(parseGroups(joined, file).get('webs'), ['web1', 'web2']);
  const left = leaveGroups(joined, { account: web1, file }) ?? '';
  t.same(
    [...parseGroups(left, file)],
    [
      ['webs', ['web2']],
      ['dbs', ['db1']],
    ],
  );
  t.equal(leaveGroups(left, { account: web1, file }), undefined);
  for (const wrong of ['webs: web1', 'webs: [../x]', '[a]', 'webs: [', 'W: [web1]'])
    t.throws(() => parseGroups(wrong, file), wrong);
  t.end();
});

t.test('fstab keeps every other line, byte for byte', (t) => {
  const entry = { device: '/dev/vg/bakker-web1', mountPoint: '/backups/web1', type: 'xfs' } as const;
  const text = '# mine\nUUID=x / ext4\tdefaults 0 1';
  const added = withFstabEntry(text, entry) ?? '';
  t.equal(added, `${text}\n${fstabLine(entry)}\n`);
  t.match(added, 'nofail');
  t.equal(withFstabEntry(added, entry), undefined);
  t.equal(withoutFstabEntry(added, entry), `${text}\n`);
  t.equal(withoutFstabEntry(text, entry), undefined);
  t.equal(
    withFstabEntry(added, { ...entry, device: '/dev/vg/bakker-web10', mountPoint: '/backups/web10' })?.split(
      '\n',
    ).length,
    5,
  );
  t.end();
});

t.test('a policy is changed key by key, with comments kept, and never to nonsense', (t) => {
  const file = 'account.yaml';
  const first = changedPolicy(undefined, { limitBytes: 10 * 2 ** 30 }, file) ?? '';
  t.equal(parseAccountPolicy(first, file).space.limitBytes, 10 * 2 ** 30);
  const edited = `# mine\n${first.replace('days: 14', 'days: 30 # longer')}`;
  const second = changedPolicy(edited, { ceilingBytes: 50 * 2 ** 30 }, file) ?? '';
  t.match(second, '# mine');
  t.match(second, '# longer');
  const policy = parseAccountPolicy(second, file);
  t.same(
    [policy.retention.days, policy.space.limitBytes, policy.space.ceilingBytes],
    [30, 10 * 2 ** 30, 50 * 2 ** 30],
  );
  t.equal(changedPolicy(second, { limitBytes: 10 * 2 ** 30 }, file), undefined, 'says so already');
  t.throws(() => changedPolicy(second, { ceilingBytes: 2 ** 30 }, file), { code: 'USAGE' });
  t.throws(() => changedPolicy('space: [', { limitBytes: 1 }, file), { code: 'CONFIG_INVALID' });
  t.end();
});

t.test('what a server is told may say what to back up, and nothing else', (t) => {
  t.doesNotThrow(() =>
    checkAgentYaml(
      "sources: [/etc, {path: /srv, exclude: ['*.tmp'], markers: false}]\nexclude: [cache/]\ninterval: 6h\nretention: {days: 3}\n",
      'f',
    ),
  );
  for (const text of [
    '',
    'command: x',
    'hooks: {before: rm}',
    'account: a@b:/',
    'freeze-when-gone: 100%',
    'freeze-when-changed: 100%',
    'sources: []',
    'sources: [etc]',
    'sources: [{path: /etc, command: x}]',
    'exclude: x',
    'interval: soon',
    'retention: {days: -1}',
    'retention: {days: 0, years: 0}',
    'exclude: &a [x]',
    '[',
    `exclude: [${'a'.repeat(70_000)}]`,
  ])
    t.throws(() => checkAgentYaml(text, 'f'), { code: 'CONFIG_INVALID' }, text.slice(0, 40));
  t.end();
});
