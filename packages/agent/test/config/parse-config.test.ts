import { deepStrictEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { NO_LIMITS } from '../../src/limits/limits.ts';
import { NOBODY_TOLD } from '../../src/config/notify-settings.ts';
import type { AccountAddress } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { CONFIG_KEYS, parseConfig } from '../../src/config/parse-config.ts';
import { renderConfig } from '../../src/config/render-config.ts';
import { AgentError } from '../../src/errors.ts';

const FILE = '/etc/bakker/bakker.yaml';
const HOST_KEY = `SHA256:${'aB3+/'.repeat(8)}xyz`;
const MINIMAL = `account: web@store:/web\nsources: [/etc]\nidentity: /k\nhost-key: ${HOST_KEY}\n`;

function refusal(text: string): AgentError {
  try {
    parseConfig(text, FILE);
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
  throw new Error(`was taken:\n${text}`);
}

t.test('what is left out has the documented default', (t) => {
  t.strictSame(parseConfig(MINIMAL, FILE), {
    file: FILE,
    account: { kind: 'ssh', user: 'web', host: 'store', port: 22, path: '/web' },
    ssh: { transport: 'ssh2', identityFile: '/k', hostKey: HOST_KEY, sshOptions: [], channels: 'auto' },
    sources: [{ path: '/etc', excludes: [], oneFilesystem: true, honourMarkers: true }],
    excludes: [],
    minIntervalMs: 20 * 3_600_000,
    retention: { days: 14, instances: 7, months: 12, years: 4 },
    freezeGoneShare: 0.5,
    freezeChangedShare: 0.5,
    storageConfig: false,
    encrypt: undefined,
    stated: ['account', 'identity', 'host-key', 'sources'],
    services: [],
    windowMs: 60_000,
    snapshot: { provider: 'none', lvmSize: { share: 0.1 } },
    notify: NOBODY_TOLD,
    limits: NO_LIMITS,
    blockChangeBytes: 8 * 2 ** 20,
  });
  t.end();
});

t.test('from which size on changed blocks alone are sent', (t) => {
  const from = (text: string) => parseConfig(`${MINIMAL}block-change: ${text}\n`, FILE).blockChangeBytes;
  t.equal(from('256K'), 2 ** 18);
  t.equal(from('1G'), 2 ** 30);
  t.equal(from('off'), undefined);
  for (const text of ['255K', '8', 'true', '-1M', 'all', '[]'])
    t.match(refusal(`${MINIMAL}block-change: ${text}\n`).message, /block-change|must be a size such as 8M/);
  t.end();
});

t.test('file systems are frozen where a service or a source asks for it, if nothing else is said', (t) => {
  const provider = (more: string): string => parseConfig(`${MINIMAL}${more}`, FILE).snapshot.provider;
  t.equal(provider(''), 'none');
  t.equal(provider('services: [{ name: a, redis: }]\n'), 'auto');
  t.equal(provider('services: [{ name: a, mariadb-dump: }]\n'), 'none', 'a dump is whole without');
  t.equal(provider('services: [{ name: a, redis: }]\nsnapshot: none\n'), 'none');
  t.equal(provider('snapshot: { lvm-size: 2G }\n'), 'auto');
  const bySource = parseConfig('account: /a\nsources: [/b, { path: /c, snapshot: btrfs }]\n', FILE);
  t.equal(bySource.snapshot.provider, 'auto', 'so that sources on one file system agree');
  const noneOfIt = parseConfig('account: /a\nsources: [/b, { path: /c, snapshot: none }]\n', FILE);
  t.equal(noneOfIt.snapshot.provider, 'none');
  t.end();
});

t.test('every key is read', (t) => {
  const config = parseConfig(
    `account: ssh://web@[::1]:2222/./web
identity: /root/.ssh/bakker
host-key: ${HOST_KEY}=
transport: openssh
ssh-options: [-J, jump.example]
channels: 4
one-file-system: false
markers: false
exclude: ['*.tmp', '!keep.tmp']
sources:
  - /etc
  - path: /srv/*
    exclude: [cache/]
    one-file-system: true
    markers: true
    snapshot: none
interval: 90m
retention: { days: 3, years: 0 }
freeze-when-gone: 12.5%
freeze-when-changed: 99%
storage-config: true
encrypt: { hide-names: true }
services: [{ name: web, systemd: { units: [nginx] } }]
window: 5m
block-change: 20M
snapshot: { provider: lvm, lvm-size: 2G }
notify: { prometheus: /var/lib/bakker.prom }
limit-upload: 500K
limit-download: 10M
io-priority: idle
nice: 19
cores: 1
memory: 1G
`,
    FILE,
  );
  t.strictSame(config, {
    file: FILE,
    account: { kind: 'ssh', user: 'web', host: '::1', port: 2222, path: 'web' },
    ssh: {
      transport: 'openssh',
      identityFile: '/root/.ssh/bakker',
      hostKey: HOST_KEY,
      sshOptions: ['-J', 'jump.example'],
      channels: 4,
    },
    sources: [
      { path: '/etc', excludes: [], oneFilesystem: false, honourMarkers: false },
      {
        path: '/srv/*',
        excludes: ['cache/'],
        oneFilesystem: true,
        honourMarkers: true,
        snapshot: { provider: 'none', lvmSize: { sizeBytes: 2 ** 31 } },
      },
    ],
    excludes: ['*.tmp', '!keep.tmp'],
    minIntervalMs: 90 * 60_000,
    retention: { days: 3, instances: 7, months: 12, years: 0 },
    freezeGoneShare: 0.125,
    freezeChangedShare: 0.99,
    storageConfig: true,
    encrypt: { hidesNames: true },
    stated: [...CONFIG_KEYS],
    services: [{ name: 'web', timeoutMs: 90_000, kind: 'systemd', units: ['nginx.service'], by: 'stop' }],
    windowMs: 300_000,
    blockChangeBytes: 20 * 2 ** 20,
    snapshot: { provider: 'lvm', lvmSize: { sizeBytes: 2 ** 31 } },
    notify: { ...NOBODY_TOLD, prometheus: { file: '/var/lib/bakker.prom' } },
    limits: {
      uploadBytesPerS: 512_000,
      downloadBytesPerS: 10 * 2 ** 20,
      ioPriority: 'idle',
      nice: 19,
      cores: 1,
      memoryBytes: 2 ** 30,
    },
  });
  t.end();
});

t.test('a configuration can not be changed afterwards', (t) => {
  const config = parseConfig(MINIMAL, FILE);
  for (const part of [
    config,
    config.account,
    config.ssh,
    config.ssh.sshOptions,
    config.sources,
    config.sources[0],
  ]) {
    t.ok(Object.isFrozen(part));
  }
  t.end();
});

t.test('all problems are told at once, each with its line and the nearest name', (t) => {
  const error = refusal(`acount: web@store:/web
hostKey: x
sources:
  - path: etc
    exlude: []
    frobnicate: 1
intervall: 5
channels: 99
retention:
  day: 3
  months: -1
`);
  t.equal(error.code, 'CONFIG_INVALID');
  t.equal(error.exitStatus, 2);
  t.strictSame(error.message.split('\n'), [
    `${FILE} has 10 problems:`,
    '  line 1: acount: unknown key; did you mean account?',
    '  line 1: account is missing: where should the runs go?',
    '  line 2: hostKey: unknown key; did you mean host-key?',
    '  line 4: sources[0].path: etc must be an absolute path',
    '  line 5: sources[0].exlude: unknown key; did you mean exclude?',
    '  line 6: sources[0].frobnicate: unknown key; known here: path, exclude, one-file-system, markers, snapshot',
    '  line 7: intervall: unknown key; did you mean interval?',
    '  line 8: channels: must be auto or a whole number from 1 to 16',
    '  line 10: retention.day: unknown key; did you mean days?',
    '  line 11: retention.months: must be a whole number from 0 to 100000',
  ]);
  t.end();
});

t.test('each wrong value is refused by name', (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['account:', /account: nothing is written/],
    ['account: 5', /account: must be a text/],
    ['account: [a]', /account: must be a text/],
    ['account: web@store:~/x', /line 5: account: .*~/],
    ['identity: id_rsa', /identity: id_rsa must be an absolute path/],
    ['identity: ~/.ssh/id', /~ is not expanded/],
    ['host-key: MD5:aa:bb', /host-key: must be a fingerprint/],
    ['transport: telnet', /transport: must be ssh2 or openssh/],
    ['ssh-options: -v', /ssh-options: must be a list/],
    ['ssh-options: [-v]', /only used with "transport: openssh"/],
    ['channels: 0', /channels: must be auto/],
    ['channels: 2.5', /channels: must be auto/],
    ['channels: "4"', /channels: must be auto/],
    ['sources: []', /sources: the list is empty/],
    ['sources: /etc', /sources: must be a list/],
    ['sources: [~]', /sources\[0\]: nothing is written/],
    ['sources: [{exclude: [x]}]', /sources\[0\]: path is missing/],
    ['sources: [/a, /a]', /sources\[1\]: \/a is listed twice/],
    ['exclude: {a: b}', /exclude: must be a list/],
    ['exclude: [1]', /exclude\[0\]: must be a text/],
    ['one-file-system: sometimes', /one-file-system: must be true or false/],
    ['markers: yes', /markers: must be true or false/],
    ['interval: 20', /interval: must be a time/],
    ['interval: -1h', /interval: must be a time/],
    ['interval: 1 fortnight', /interval: must be a time/],
    ['retention: 5', /retention: must be a map/],
    ['retention: {days: 1.5}', /retention.days: must be a whole number/],
    ['retention: {days: 0, instances: 0, months: 0, years: 0}', /would keep nothing/],
    ['freeze-when-gone: 101%', /freeze-when-gone: must be a share/],
    ['freeze-when-changed: half', /freeze-when-changed: must be a share/],
    ['freeze-when-gone: 0.5', /freeze-when-gone: must be a share/],
    ['snapshot: zfss', /snapshot: must be one of auto, lvm, btrfs, zfs, reflink, mirror, none/],
    ['snapshot: { lvm-size: 0% }', /snapshot.lvm-size: must be a share of the volume/],
    ['snapshot: { lvm-size: 101% }', /snapshot.lvm-size: must be a share/],
    ['snapshot: { lvm-size: 5 }', /snapshot.lvm-size: must be a share/],
    ['snapshot: { size: 5% }', /snapshot.size: unknown key/],
    ['sources: [{ path: /a, snapshot: no }]', /snapshot: must be one of/],
    ['exclude: [a]\nexclude: [b]', /the same key is there twice/],
    ['\texclude: [a]', /line 5: .*/],
    ['exclude: [a', /not valid YAML/],
    ['exclude: "\\0"', /exclude: must be a list/],
    ['exclude: ["a\\0"]', /exclude\[0\]: must be a text/],
  ];
  for (const [line, reason] of refused) {
    const key = line.split(':')[0] ?? '';
    const base = MINIMAL.split('\n').map((kept) => (kept.startsWith(`${key}:`) ? '' : kept));
    t.match(refusal(`${base.join('\n')}${line}\n`).message, reason, line);
  }
  t.match(refusal('').message, /must be a list of "key: value" lines/);
  t.match(refusal('- a\n').message, /must be a list of "key: value" lines/);
  t.end();
});

t.test('a key and the pin are asked for where bakker itself logs in, with all other mistakes', (t) => {
  const missing = (text: string) => refusal(text).message.split('\n').slice(1);
  const [key, pin] = [/line 1: identity is missing/, /line 1: host-key is missing/];
  t.match(missing('account: web@store:/web\nsources: [/etc]\nnice: 20\n'), [key, pin, /line 3: nice/]);
  t.match(missing(`account: web@store:/web\nsources: [/etc]\nhost-key: ${HOST_KEY}\n`), [key]);
  t.match(missing('account: web@store:/web\nsources: [/etc]\nidentity: /k\ntransport: ssh2\n'), [pin]);
  for (const text of ['account: /mnt/b\n', 'account: web@store:/web\ntransport: openssh\n'])
    t.equal(parseConfig(`${text}sources: [/etc]\n`, FILE).ssh.identityFile, undefined);
  t.end();
});

t.test('an interval may be none, or in any unit', (t) => {
  const interval = (text: string): number => parseConfig(`${MINIMAL}interval: ${text}\n`, FILE).minIntervalMs;
  t.equal(interval('0'), 0);
  t.equal(interval('30s'), 30_000);
  t.equal(interval('1.5h'), 5_400_000);
  t.equal(interval('1d'), 86_400_000);
  t.equal(interval('2w'), 1_209_600_000);
  t.end();
});

t.test('aliases in YAML are followed', (t) => {
  const config = parseConfig(
    'account: /mnt/b\nexclude: &common [a]\nsources: [{path: /etc, exclude: *common}]\n',
    FILE,
  );
  t.strictSame(config.sources[0]?.excludes, ['a']);
  t.end();
});

t.test('what init writes is read back as the same settings', (t) => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((s) => !s.includes('\0'));
  const absolute = text.map((tail) => `/${tail}`);
  const account: fc.Arbitrary<AccountAddress> = fc.oneof(
    fc.constantFrom<AccountAddress>(
      { kind: 'local', folder: '/mnt/a: b #c' },
      { kind: 'ssh', user: 'web', host: '::1', port: 22, path: '.' },
      { kind: 'ssh', user: 'web', host: 'store', port: 2222, path: 'relative' },
      { kind: 'ssh', user: 'web', host: 'store', port: 22, path: '/ # : x' },
    ),
  );
  fc.assert(
    fc.property(
      account,
      fc.oneof(
        fc.record({
          transport: fc.constant('ssh2' as const),
          identityFile: absolute,
          hostKey: fc.constant(HOST_KEY),
        }),
        fc.record({
          transport: fc.constant('openssh' as const),
          identityFile: fc.option(absolute, { nil: undefined }),
          hostKey: fc.option(fc.constant(HOST_KEY), { nil: undefined }),
        }),
      ),
      fc.uniqueArray(absolute, { minLength: 1, maxLength: 4 }),
      (account, { identityFile, hostKey, transport }, sources) => {
        const settings = {
          account,
          transport,
          sources,
          storageConfig: false,
          ...(identityFile === undefined ? {} : { identityFile }),
          ...(hostKey === undefined ? {} : { hostKey }),
        };
        const config = parseConfig(renderConfig(settings), FILE);
        deepStrictEqual(config.account, account);
        equal(config.ssh.identityFile, identityFile);
        equal(config.ssh.hostKey, hostKey);
        equal(config.ssh.transport, transport);
        deepStrictEqual(
          config.sources.map((source) => source.path),
          sources,
        );
        equal(config.minIntervalMs, 20 * 3_600_000);
      },
    ),
    { numRuns: 300 },
  );
  t.pass('300 settings');
  t.end();
});

t.test('encrypt is a flag or a map, and is written as it is read', (t) => {
  for (const [text, encrypt] of [
    ['encrypt: true', { hidesNames: false }],
    ['encrypt: false', undefined],
    ['encrypt: { hide-names: false }', { hidesNames: false }],
    ['encrypt: { hide-names: true }', { hidesNames: true }],
  ] as const) {
    t.same(parseConfig(`${MINIMAL}${text}\n`, FILE).encrypt, encrypt, text);
    const settings = {
      account: { kind: 'local', folder: '/mnt/b' },
      transport: 'ssh2',
      sources: ['/etc'],
    } as const;
    const written = renderConfig({ ...settings, storageConfig: false, encrypt });
    t.same(parseConfig(written, FILE).encrypt, encrypt, `${text}, written`);
  }
  for (const text of [
    'encrypt: yes',
    'encrypt: { hide-names: names }',
    'encrypt: { hidden: true }',
    'encrypt: []',
  ])
    t.throws(() => parseConfig(`${MINIMAL}${text}\n`, FILE), { code: 'CONFIG_INVALID' }, text);
  t.end();
});

t.test('the file that init writes names every key', (t) => {
  const text = renderConfig({
    account: { kind: 'local', folder: '/mnt/b' },
    transport: 'openssh',
    sources: ['/etc'],
    storageConfig: false,
  });
  const named = CONFIG_KEYS.filter((key) => key !== 'ssh-options' && key !== 'channels');
  for (const key of named) t.match(text, new RegExp(`^#?${key}:`, 'm'), key);
  t.end();
});

t.test('what the file that init writes shows is what holds, but for examples', (t) => {
  const text = renderConfig({
    account: { kind: 'local', folder: '/mnt/b' },
    transport: 'ssh2',
    sources: ['/etc'],
    storageConfig: false,
  });
  const examples = ['identity', 'host-key', 'exclude', 'limit-upload', 'limit-download', 'cores'];
  const shown = text.replaceAll(/^#([a-z-]+):/gm, (line, key: string) =>
    examples.includes(key) ? line : `${key}:`,
  );
  t.match(shown, /^notify:/m);
  const { stated } = parseConfig(shown, FILE);
  t.strictSame(parseConfig(shown, FILE), { ...parseConfig(text, FILE), stated });
  t.end();
});

t.test('a missing file points to init, an unreadable one to its owner', async (t) => {
  const failing = (code: string) => async (): Promise<string> => {
    throw Object.assign(new Error(code), { code });
  };
  await t.rejects(loadConfig(FILE, failing('ENOENT')), {
    code: 'CONFIG_INVALID',
    message: `there is no configuration file ${FILE}`,
    hint: /bakker init ACCOUNT/,
  });
  await t.rejects(loadConfig(FILE, failing('EACCES')), {
    code: 'CONFIG_INVALID',
    message: /EACCES/,
    hint: /root/,
  });
});
