import t from 'tap';
import type { Config } from '../../src/config/config.ts';
import { CONFIG_KEYS, parseConfig } from '../../src/config/parse-config.ts';
import {
  mergeStorageConfig,
  parseStorageConfig,
  STORAGE_CONFIG_KEYS,
} from '../../src/config/storage-config.ts';
import { AgentError } from '../../src/errors.ts';

const FILE = '/etc/bakker/bakker.yaml';
const ACCOUNT = 'account: web1@storage:/\ntransport: openssh\n';
const OPTED_IN = `${ACCOUNT}storage-config: true\n`;
const OFFER = `sources: [/srv, {path: /home, exclude: [cache/]}]
exclude: ['*.tmp']
interval: 6h
retention: {days: 3}
`;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof AgentError && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

const own = (text: string): Config => parseConfig(text, FILE);

t.test('only what says what to back up and how often can come from a storage', (t) => {
  for (const key of CONFIG_KEYS) {
    if ((STORAGE_CONFIG_KEYS as readonly string[]).includes(key)) continue;
    t.match(
      refusal(() => parseStorageConfig(`${key}: x\n`)),
      new RegExp(`${key}: unknown key`),
      key,
    );
  }
  for (const key of ['hooks', 'command', 'quiesce', 'identity', 'restore', '__proto__', 'constructor']) {
    t.match(
      refusal(() => parseStorageConfig(`sources: [/etc]\n${key}: [rm]\n`)),
      /unknown key/,
      key,
    );
  }
  t.match(
    refusal(() => parseStorageConfig('sources: [{path: /etc, command: x}]')),
    /unknown key/,
  );
  t.end();
});

t.test('a text that can not be meant is refused as a whole', (t) => {
  for (const [text, sign] of [
    ['sources: [etc]', /absolute path/],
    ['sources: []', /empty/],
    ['interval: often', /must be a time/],
    ['retention: {days: 0, instances: 0, months: 0, years: 0}', /keep nothing/],
    ['exclude: &a ["x"]\nsources: [*a]', /aliases/],
    ['exclude: *.tmp', /YAML|aliases/],
    ['sources: [/etc', /YAML/],
    ['- /etc', /key: value/],
    [`exclude: [${'a'.repeat(70_000)}]`, /64 KiB/],
  ] as const) {
    t.match(
      refusal(() => parseStorageConfig(text)),
      sign,
      text.slice(0, 40),
    );
  }
  t.end();
});

t.test('aliases that stand for gigabytes are refused without being followed', (t) => {
  const levels = Array.from({ length: 30 }, (_, level) =>
    level === 0 ? 'a0: &a0 [x, x]' : `a${level}: &a${level} [*a${level - 1}, *a${level - 1}]`,
  );
  t.match(
    refusal(() => parseStorageConfig(levels.join('\n'))),
    /aliases/,
  );
  t.end();
});

t.test('nothing is taken from a storage unless the configuration says so', (t) => {
  const { config, origins } = mergeStorageConfig(
    own(`${ACCOUNT}sources: [/etc]\n`),
    parseStorageConfig(OFFER),
  );
  t.same(
    config.sources.map(({ path }) => path),
    ['/etc'],
  );
  t.same(config.excludes, []);
  t.same(origins, {
    sources: 'configuration',
    exclude: 'default',
    interval: 'default',
    retention: 'default',
  });
  t.end();
});

t.test('what the configuration leaves out comes from the storage, and each value says where from', (t) => {
  const { config, origins } = mergeStorageConfig(own(OPTED_IN), parseStorageConfig(OFFER));
  t.same(
    config.sources.map(({ path, excludes }) => [path, excludes]),
    [
      ['/srv', []],
      ['/home', ['cache/']],
    ],
  );
  t.same(config.excludes, ['*.tmp']);
  t.equal(config.minIntervalMs, 6 * 3_600_000);
  t.equal(config.retention.days, 3);
  t.same(origins, { sources: 'storage', exclude: 'storage', interval: 'storage', retention: 'storage' });
  t.throws(() => Object.assign(config, { sources: [] }), 'is frozen');
  t.end();
});

t.test('what the configuration says wins, key by key, also where it says what is usual', (t) => {
  const { config, origins } = mergeStorageConfig(
    own(`${OPTED_IN}sources: [/etc]\nexclude: []\ninterval: 20h\n`),
    parseStorageConfig(OFFER),
  );
  t.same(
    config.sources.map(({ path }) => path),
    ['/etc'],
  );
  t.same(config.excludes, []);
  t.equal(config.minIntervalMs, 20 * 3_600_000);
  t.equal(config.retention.days, 3);
  t.same(origins, {
    sources: 'configuration',
    exclude: 'configuration',
    interval: 'configuration',
    retention: 'storage',
  });
  t.end();
});

t.test('guards, account, keys and transport are never the storage’s', (t) => {
  const mine = own(`${OPTED_IN}freeze-when-gone: 10%\nidentity: /k\n`);
  const { config } = mergeStorageConfig(mine, parseStorageConfig(OFFER));
  const { sources: _s, excludes: _e, minIntervalMs: _i, retention: _r, ...rest } = config;
  const { sources: _s2, excludes: _e2, minIntervalMs: _i2, retention: _r2, ...before } = mine;
  t.strictSame(rest, before);
  t.end();
});

t.test('if nobody says what to back up, that is told and nothing is guessed', (t) => {
  for (const offer of [undefined, parseStorageConfig(''), parseStorageConfig('interval: 1h\n')])
    t.match(
      refusal(() => mergeStorageConfig(own(OPTED_IN), offer)),
      /says what to back up/,
    );
  t.match(
    refusal(() => own(`${ACCOUNT}storage-config: false\n`)),
    /sources is missing/,
  );
  t.match(
    refusal(() => own(ACCOUNT)),
    /sources is missing/,
  );
  t.end();
});
