import t from 'tap';
import { NOBODY_TOLD } from '../../src/config/notify-settings.ts';
import type { NotifySettings } from '../../src/config/notify-settings.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { AgentError } from '../../src/errors.ts';

function read(notify: string): NotifySettings {
  return parseConfig(`account: /mnt/a\nsources: [/etc]\nnotify:${notify}\n`, 'bakker.yaml').notify;
}

function complaint(notify: string): string {
  try {
    read(notify);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  return 'taken';
}

t.test('nothing said, nobody told', async (t) => {
  t.same(parseConfig('account: /mnt/a\nsources: [/etc]\n', 'x').notify, NOBODY_TOLD);
  t.same(read(''), NOBODY_TOLD);
  t.same(read(' {}'), NOBODY_TOLD);
});

t.test('everything said', async (t) => {
  const settings = read(`
  hooks:
    - { name: chat, on: [failure], run: [/usr/local/bin/tell, backup], user: nobody, timeout: 5s }
    - run: { shell: 'logger "$BAKKER_EVENT"' }
  ping: { url-file: /etc/bakker/ping-url, timeout: 3s, retries: 0 }
  mail: { to: [ops@example.org, root], from: web1@example.org, on: [success, failure], program: /bin/mail }
  ntfy: { url: 'https://ntfy.example.org', topic: backups, credential: ntfy, on: [partial] }
  prometheus: /var/lib/prometheus/node-exporter/bakker.prom`);
  t.same(settings, {
    hooks: [
      {
        name: 'chat',
        on: ['failure'],
        argv: ['/usr/local/bin/tell', 'backup'],
        user: 'nobody',
        timeoutMs: 5_000,
      },
      {
        name: 'hook 2',
        on: ['success', 'partial', 'failure'],
        argv: ['/bin/sh', '-c', 'logger "$BAKKER_EVENT"'],
        user: undefined,
        timeoutMs: 30_000,
      },
    ],
    ping: { url: { from: 'file', file: '/etc/bakker/ping-url' }, timeoutMs: 3_000, retries: 0 },
    mail: {
      to: ['ops@example.org', 'root'],
      from: 'web1@example.org',
      on: ['success', 'failure'],
      program: '/bin/mail',
      timeoutMs: 30_000,
    },
    ntfy: {
      url: 'https://ntfy.example.org',
      topic: 'backups',
      token: { from: 'credential', name: 'ntfy' },
      on: ['partial'],
      timeoutMs: 10_000,
      retries: 2,
    },
    prometheus: { file: '/var/lib/prometheus/node-exporter/bakker.prom' },
  });
});

t.test('short forms', async (t) => {
  const { ping, mail, ntfy } = read(`
  ping: https://hc.example.org/uuid
  mail: root
  ntfy: { topic: t }`);
  t.match(ping, { url: 'https://hc.example.org/uuid', timeoutMs: 10_000, retries: 2 });
  t.match(mail, { to: ['root'], on: ['partial', 'failure'], program: '/usr/sbin/sendmail' });
  t.match(ntfy, { url: 'https://ntfy.sh', token: undefined });
});

t.test('what can not be meant is refused with its place', async (t) => {
  const cases: readonly [string, RegExp][] = [
    [' [mail]', /notify: must be a map/],
    ['\n  mial: root', /notify.mial: unknown key; did you mean mail\?/],
    ['\n  hooks: [{ name: x }]', /hooks\[0\]: run is missing/],
    ['\n  hooks: [{ run: logger backup }]', /run: must be a list of words/],
    ['\n  hooks: [{ run: [a], on: [succes] }]', /on\[0\]: must be one of success, partial, failure/],
    ['\n  hooks: [{ run: [a], on: [] }]', /on: the list is empty/],
    ['\n  hooks: [{ run: [a], timeout: 11m }]', /timeout: must be a time such as 10s/],
    ['\n  hooks: [{ run: [a], user: --help }]', /user: --help can't be meant/],
    ['\n  hooks: [{ run: [a], name: x }, { run: [a], name: x }]', /x is listed twice/],
    ['\n  ping: hc.example.org/uuid', /ping: must be a URL/],
    ['\n  ping: file:///etc/passwd', /ping: must be a URL/],
    ['\n  ping: https://user:pass@hc.example.org/', /ping: has a password in it/],
    ['\n  ping: { url: "https://x", url-file: /x }', /ping: needs exactly one of/],
    ['\n  ping: { timeout: 1s }', /ping: needs exactly one of/],
    ['\n  ping: { url-file: relative }', /url-file: relative must be an absolute path/],
    ['\n  ping: { url: "https://x", retries: 99 }', /retries: must be a whole number/],
    ['\n  mail: "root\\nBcc: all"', /mail: .* is no address/],
    ['\n  mail: { to: "a@b, c@d" }', /to: .* is no address/],
    ['\n  mail: { to: ["-oQ/tmp"] }', /to: .* is no address/],
    ['\n  mail: { from: a@b }', /to is missing/],
    ['\n  mail: { to: root, from: "a\\nBcc: x" }', /from: .*is no address/],
    ['\n  ntfy: { topic: "a/b" }', /topic: must be made of letters/],
    ['\n  ntfy: { url: "https://x" }', /topic is missing/],
    ['\n  ntfy: { topic: a, token: secret }', /unknown key/],
    ['\n  ntfy: { topic: a, credential: ../x }', /must be a name, not a path/],
    ['\n  prometheus: bakker.prom', /must be an absolute path/],
    ['\n  prometheus: /var/lib/bakker.txt', /ends with .prom/],
  ];
  for (const [text, expected] of cases) t.match(complaint(text), expected, text);
});
