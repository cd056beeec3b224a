import t from 'tap';
import { parseRunName } from '@bakker/impl-format';
import type { BackupReport } from '../../src/backup/report.ts';
import type { NotifySettings } from '../../src/config/notify-settings.ts';
import { failedUnit, isTold } from '../../src/notify/failed-unit.ts';
import { notifyAfter } from '../../src/notify/notify-after.ts';
import type { NotifyPorts } from '../../src/notify/notify-after.ts';
import type { Outcome } from '../../src/notify/outcome.ts';
import type { HookInput, Told } from '../../src/ports/notifier.ts';
import type { LastRuns } from '../../src/ports/state-folder.ts';
import { parseExposition } from './exposition.ts';

const NOW_MS = Date.UTC(2026, 4, 3, 2, 30);
const HOUR_MS = 3_600_000;
const RUN = parseRunName('2026_05_03_01');
if (RUN === undefined) throw new Error('no run name');
const ACCOUNT = 'web1@storage:/runs "new\\old"';

const ALL: NotifySettings = {
  hooks: [
    { name: 'any', on: ['success', 'partial', 'failure'], argv: ['a'], user: undefined, timeoutMs: 1 },
    { name: 'good', on: ['success'], argv: ['b'], user: undefined, timeoutMs: 1 },
  ],
  ping: { url: 'https://monitor.example/x', timeoutMs: 1, retries: 0 },
  mail: { on: ['partial', 'failure'], to: ['root'], from: undefined, program: '/x', timeoutMs: 1 },
  ntfy: { on: ['failure'], url: 'https://n', topic: 'b', token: undefined, timeoutMs: 1, retries: 0 },
  prometheus: { file: '/x.prom' },
};

const REPORT: BackupReport = {
  run: RUN,
  status: 'complete',
  parent: null,
  files: { total: 12, new: 2, changed: 1, metadata: 0, moved: 0, unchanged: 9, gone: 0, unreadable: 0 },
  bytes: { source: 5_000, sent: 700, stored: 600 },
  seconds: 12.5,
  windowSeconds: 1.25,
  warnings: [],
};
const SPACE = { totalBytes: 1_000_000, freeBytes: 400_000, freeInodes: undefined };

function lastRuns(success: { hoursAgo: number } | undefined): LastRuns {
  const finishedAtMs = NOW_MS - (success?.hoursAgo ?? 0) * HOUR_MS;
  return {
    lastSuccess: success && { run: RUN!, status: 'complete', startedAtMs: finishedAtMs - 1, finishedAtMs },
    lastAttempt: undefined,
    frozen: undefined,
  };
}

/** Everything that was sent, by a port that writes it down; ways in `broken` fail. */
function world(last: LastRuns | undefined, broken: readonly string[] = []) {
  const sent: { way: string; text: string }[] = [];
  let told: Told = {};
  const note = async (way: string, text: string): Promise<void> => {
    if (broken.includes(way)) throw new Error(`${way} is broken`);
    sent.push({ way, text });
  };
  const inputs: HookInput[] = [];
  const ports: NotifyPorts = {
    settings: ALL,
    subject: { host: 'web1', account: ACCOUNT, version: '1.0.0' },
    notifier: {
      runHook: (hook, input) => {
        inputs.push(input);
        return note(`hook ${hook.name}`, input.stdin);
      },
      ping: (_, { event, body }) => note(`ping ${event}`, body),
      sendMail: (_, text) => note('mail', text),
      publish: (_, { title, text }) => note('ntfy', `${title}\n${text}`),
      writeMetrics: (_, text) => note('prometheus', text),
    },
    memory: {
      read: async () => told,
      save: async (value) => {
        told = value;
      },
    },
    lastRuns: async () => {
      if (last === undefined) throw new Error('unreadable');
      return last;
    },
    invocation: 'inv-1',
  };
  return { ports, sent, inputs, told: () => told, ways: () => sent.map(({ way }) => way) };
}

function outcome(kind: Outcome['kind'], more: Partial<Outcome> = {}): Outcome {
  return {
    kind,
    exitStatus: 0,
    message: `it was a ${kind}`,
    startedAtMs: NOW_MS - 9_000,
    finishedAtMs: NOW_MS,
    ...more,
  };
}

t.test('who is told of what', async (t) => {
  const matrix: readonly [Outcome['kind'], readonly string[]][] = [
    ['success', ['hook any', 'hook good', 'ping success', 'prometheus']],
    ['partial', ['hook any', 'ping success', 'mail', 'prometheus']],
    ['failure', ['hook any', 'ping fail', 'mail', 'ntfy', 'prometheus']],
    ['interrupted', ['hook any', 'ping fail', 'mail', 'ntfy', 'prometheus']],
    ['skipped', ['prometheus']],
    ['test', ['hook any', 'hook good', 'ping log', 'mail', 'ntfy', 'prometheus']],
  ];
  for (const [kind, ways] of matrix) {
    const { ports, ways: told } = world(lastRuns({ hoursAgo: 0 }));
    const deliveries = await notifyAfter(outcome(kind), ports);
    t.same(told(), ways, kind);
    t.same(new Set(deliveries.map(({ failure }) => failure)), new Set([undefined]));
  }
});

t.test('alerts speak of the last success, and of a server that never had one', async (t) => {
  const cases: readonly [LastRuns | undefined, RegExp, RegExp][] = [
    [
      lastRuns({ hoursAgo: 75 }),
      /last success 3 d 3 h ago/,
      /Last success: run 2026_05_03_01, complete, .*3 d 3 h ago/,
    ],
    [lastRuns(undefined), /NO backup has ever succeeded/, /No backup of this server has ever succeeded/],
    [undefined, /last success is not known/, /last success is not known/],
    [lastRuns({ hoursAgo: -5 }), /clock is wrong/, /clock is wrong/],
  ];
  for (const [last, subject, text] of cases) {
    const { ports, sent } = world(last);
    await notifyAfter(outcome('failure', { exitStatus: 13, message: 'bakker: full' }), ports);
    const mail = sent.find(({ way }) => way === 'mail')?.text ?? '';
    t.match(/^Subject: (.*)$/m.exec(mail)?.[1], subject);
    t.match(/^Subject: (.*)$/m.exec(mail)?.[1], /web1: backup FAILED/);
    t.match(mail, text);
    t.match(mail, /bakker: full/);
    t.match(sent.find(({ way }) => way === 'ping fail')?.text, text);
    t.match(sent.find(({ way }) => way === 'ntfy')?.text, text);
  }
});

t.test('a way that fails keeps no other from being tried, and is told by name', async (t) => {
  const { ports, ways } = world(lastRuns(undefined), ['ping fail', 'mail', 'prometheus']);
  const deliveries = await notifyAfter(outcome('failure'), ports);
  t.same(ways(), ['hook any', 'ntfy']);
  t.same(
    deliveries.filter(({ failure }) => failure !== undefined).map(({ way }) => way),
    ['ping', 'mail', 'prometheus'],
  );
});

t.test('hooks get the same facts in the environment and as JSON', async (t) => {
  const { ports, inputs } = world(lastRuns({ hoursAgo: 2 }));
  const message = 'what\0ever';
  await notifyAfter(outcome('failure', { exitStatus: 10, message }), ports);
  const [input] = inputs;
  t.match(input?.env, {
    BAKKER_EVENT: 'failure',
    BAKKER_HOST: 'web1',
    BAKKER_EXIT_STATUS: '10',
    BAKKER_MESSAGE: 'whatever',
    BAKKER_RUN: '',
    BAKKER_LAST_SUCCESS_AGE_SECONDS: '7200',
  });
  t.match(JSON.parse(input?.stdin ?? ''), {
    event: 'failure',
    message,
    exitStatus: 10,
    run: null,
    report: null,
    lastSuccess: { run: '2026_05_03_01', ageSeconds: 7200 },
  });
});

t.test('a long message is cut between characters', async (t) => {
  const { ports, sent } = world(lastRuns(undefined));
  await notifyAfter(outcome('failure', { message: 'ä€😀'.repeat(1000) }), ports);
  const text = sent.find(({ way }) => way === 'ntfy')?.text ?? '';
  t.ok(Buffer.byteLength(text) < 4_000);
  t.match(text, /\[…\]$/);
  t.notMatch(text, '\uFFFD');
});

t.test('metrics are valid, and keep the figures of the last published run after a failure', async (t) => {
  const w = world(lastRuns({ hoursAgo: 0 }));
  const metrics = () => parseExposition(w.sent.findLast(({ way }) => way === 'prometheus')?.text ?? '');
  await notifyAfter(outcome('success', { report: REPORT, space: SPACE }), w.ports);
  const good = metrics();
  const value = (read: typeof good, name: string, labels: Record<string, string> = {}) =>
    read.find(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )?.value;
  t.ok(good.every(({ labels }) => labels['account'] === ACCOUNT));
  t.equal(value(good, 'bakker_last_success_timestamp_seconds'), NOW_MS / 1000);
  t.equal(value(good, 'bakker_last_attempt_exit_status'), 0);
  t.equal(value(good, 'bakker_last_attempt_duration_seconds'), 9);
  t.equal(value(good, 'bakker_run_duration_seconds'), 12.5);
  t.equal(value(good, 'bakker_run_window_seconds'), 1.25);
  t.equal(value(good, 'bakker_run_bytes', { kind: 'sent' }), 700);
  t.equal(value(good, 'bakker_run_files', { state: 'total' }), 12);
  t.equal(value(good, 'bakker_storage_free_bytes'), 400_000);
  t.equal(value(good, 'bakker_storage_free_inodes'), undefined);

  const later = { startedAtMs: NOW_MS + HOUR_MS, finishedAtMs: NOW_MS + HOUR_MS + 1_500 };
  await notifyAfter(outcome('failure', { exitStatus: 13, ...later }), w.ports);
  const bad = metrics();
  t.equal(value(bad, 'bakker_last_attempt_exit_status'), 13);
  t.equal(value(bad, 'bakker_last_attempt_duration_seconds'), 1.5);
  t.equal(value(bad, 'bakker_last_success_timestamp_seconds'), NOW_MS / 1000);
  t.equal(value(bad, 'bakker_run_bytes', { kind: 'sent' }), 700, 'still those of the good run');
});

t.test('a server that never had a success has 0 for its time, so that an age can be asked for', async (t) => {
  const w = world(lastRuns(undefined));
  await notifyAfter(outcome('failure', { exitStatus: 10 }), w.ports);
  const samples = parseExposition(w.sent.find(({ way }) => way === 'prometheus')?.text ?? '');
  t.equal(samples.find(({ name }) => name === 'bakker_last_success_timestamp_seconds')?.value, 0);
  t.notOk(samples.some(({ name }) => name.startsWith('bakker_run_')));
});

t.test('a failure that a run has told is not told again by its unit', async (t) => {
  const told = world(lastRuns(undefined));
  await notifyAfter(outcome('failure'), told.ports);
  t.ok(isTold(told.told(), { MONITOR_INVOCATION_ID: 'inv-1' }));
  t.notOk(isTold(told.told(), { MONITOR_INVOCATION_ID: 'inv-2' }));
  t.notOk(isTold(told.told(), {}));

  const unheard = world(lastRuns(undefined), ['hook any', 'ping fail', 'mail', 'ntfy']);
  await notifyAfter(outcome('failure'), unheard.ports);
  t.notOk(isTold(unheard.told(), { MONITOR_INVOCATION_ID: 'inv-1' }), 'nobody has heard of it yet');
});

t.test(
  'what systemd says of a unit becomes an alert; only units that make runs change the metrics',
  async (t) => {
    const monitor = {
      MONITOR_SERVICE_RESULT: 'oom-kill',
      MONITOR_EXIT_CODE: 'killed',
      MONITOR_EXIT_STATUS: 'KILL',
    };
    const killed = failedUnit('bakker.service', { monitor, nowMs: NOW_MS });
    t.match(killed, { kind: 'failure', exitStatus: 1, message: /oom-kill killed KILL/ });
    for (const [unit, makesRuns] of [
      ['bakker.service', true],
      ['bakker-second.service', true],
      ['bakker-recover.service', false],
      ['bakker-second-recover.service', false],
      ['bakker-retention.service', false],
      ['other.service', false],
    ] as const) {
      const { ports, ways } = world(lastRuns(undefined));
      await notifyAfter(failedUnit(unit, { monitor: {}, nowMs: NOW_MS }), ports);
      t.equal(ways().includes('prometheus'), makesRuns, unit);
      t.ok(ways().includes('mail'));
    }
  },
);
