import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { BAKKER } from '../cli/run-bakker.ts';
import type { Ended } from '../cli/run-bakker.ts';
import { parseExposition } from './exposition.ts';
import { startWebServer } from './web-server.ts';
import type { WebServer } from './web-server.ts';

/** The built program with a local account, a real web server and a stand-in for sendmail. */
class Bench {
  readonly folder: string;
  readonly source: string;
  readonly configFile: string;
  readonly #web: WebServer;

  constructor(t: Test, web: WebServer, more = '') {
    this.#web = web;
    this.folder = t.testdir({ source: { file: 'content' }, account: {} });
    this.source = join(this.folder, 'source');
    this.configFile = join(this.folder, 'bakker.yaml');
    const sendmail = this.at('sendmail');
    writeFileSync(sendmail, `#!/bin/sh\ncat > ${this.at('mail')}\n`, { mode: 0o755 });
    writeFileSync(
      this.configFile,
      `account: ${this.at('account')}
sources: [${this.source}]
interval: 1h
notify:
  ping: { url: '${web.url}/check', timeout: 5s, retries: 0 }
  ntfy: { url: '${web.url}', topic: backups, timeout: 5s, retries: 0 }
  mail: { to: ops@example.org, program: ${sendmail} }
  prometheus: ${this.at('bakker.prom')}
  hooks: [{ run: { shell: 'cat >> ${this.at('hooks')}' } }]
${more}`,
    );
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  /** `METHOD /path`, since the last call. */
  requests(): string[] {
    const received = this.#web.received as { method: string; path: string }[];
    return received.splice(0).map(({ method, path }) => `${method} ${path}`);
  }

  mail(): string {
    return existsSync(this.at('mail')) ? readFileSync(this.at('mail'), 'utf8') : '';
  }

  metric(name: string): number | undefined {
    return parseExposition(readFileSync(this.at('bakker.prom'), 'utf8')).find((one) => one.name === name)
      ?.value;
  }

  run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const args = [...words, '--config', this.configFile, '--state', this.at('state')];
    const { INVOCATION_ID: _, ...inherited } = process.env;
    return new Promise((resolve) => {
      const child = execFile(BAKKER, args, { env: { ...inherited, ...env } }, (_error, stdout, stderr) =>
        resolve({ status: child.exitCode, stdout, stderr }),
      );
      child.stdin?.end();
    });
  }
}

t.test('a success, a run that is not due, a failure and a success again', async (t) => {
  await using web = await startWebServer(200);
  const bench = new Bench(t, web);
  t.equal((await bench.run(['backup', '--dry-run'])).status, 0);
  t.same(bench.requests(), [], 'a dry run is nobody else’s business');

  const good = await bench.run(['backup']);
  t.same([good.status, good.stderr.match(/nobody|warning/)], [0, null], good.stderr);
  t.same(bench.requests(), ['POST /check/start', 'POST /check']);
  t.equal(bench.mail(), '', 'good news make no mail');
  t.equal(bench.metric('bakker_last_attempt_exit_status'), 0);
  t.ok((bench.metric('bakker_storage_free_bytes') ?? 0) > 0);
  const succeededAt = bench.metric('bakker_last_success_timestamp_seconds') ?? 0;
  t.ok(Math.abs(succeededAt - Date.now() / 1000) < 600);
  const facts = JSON.parse(readFileSync(bench.at('hooks'), 'utf8'));
  t.match(facts, { event: 'success', exitStatus: 0, report: { status: 'complete', files: { total: 1 } } });

  rmSync(bench.at('bakker.prom'));
  t.match((await bench.run(['backup'])).stdout, /Nothing to do/);
  t.same(bench.requests(), [], 'a start without an end would look like a run that hangs');
  t.equal(bench.metric('bakker_last_success_timestamp_seconds'), succeededAt, 'metrics are written anew');

  rmSync(bench.source, { recursive: true });
  const bad = await bench.run(['backup', '--force'], { INVOCATION_ID: 'inv-7' });
  t.equal(bad.status, 1);
  t.same(bench.requests().sort(), ['POST /', 'POST /check/fail']);
  t.match(bench.mail(), /^Subject: bakker: .*backup FAILED; last success .* ago$/m);
  t.match(bench.mail(), bench.source, 'it says what failed');
  t.equal(bench.metric('bakker_last_attempt_exit_status'), 1);
  t.equal(bench.metric('bakker_last_success_timestamp_seconds'), succeededAt);

  const monitor = { MONITOR_INVOCATION_ID: 'inv-7', MONITOR_SERVICE_RESULT: 'exit-code' };
  const twice = await bench.run(['notify', '--failed', 'bakker.service'], monitor);
  t.match(twice, { status: 0, stdout: /told of its failure itself/ });
  t.same(bench.requests(), []);
  const other = await bench.run(['notify', '--failed', 'bakker-recover.service'], {
    ...monitor,
    MONITOR_INVOCATION_ID: 'inv-8',
  });
  t.equal(other.status, 0, other.stdout);
  t.match(bench.mail(), /bakker-recover.service FAILED/);
});

t.test('what can not be told changes nothing of the run', async (t) => {
  await using web = await startWebServer(500);
  const bench = new Bench(t, web);
  rmSync(bench.at('sendmail'));
  chmodSync(bench.folder, 0o755);
  const good = await bench.run(['backup']);
  t.equal(good.status, 0);
  t.match(good.stdout, /is complete/);
  t.match(good.stderr, /ping: the start was not told: .*answered 500/);
  t.match(good.stderr, /ping: nobody was told: .*answered 500/);
  mkdirSync(join(bench.source, 'new'));
  rmSync(join(bench.folder, 'account'), { recursive: true });
  const bad = await bench.run(['backup', '--force']);
  t.not(bad.status, 0);
  t.match(bad.stderr, /mail: nobody was told: .*sendmail/);
  t.match(bad.stderr, /ntfy: nobody was told/);
});

t.test('an interruption is told, and still ends with 130', async (t) => {
  await using web = await startWebServer(200);
  // a run that does not end before it is interrupted, however late this test notices that it began
  const service = `services: [{ name: app, command: { enter: { shell: 'touch ${t.testdirName}/entered; sleep 600' } } }]`;
  const bench = new Bench(t, web, service);
  const ended = new Promise<number | null>((resolve) => {
    const args = ['backup', '--config', bench.configFile, '--state', bench.at('state')];
    const child = execFile(BAKKER, args, () => resolve(child.exitCode));
    // the start is told beside the run: it goes on while this is answered
    void (async () => {
      const isUnderWay = (): boolean => web.received.length > 0 && existsSync(bench.at('entered'));
      while (!isUnderWay() && child.exitCode === null) await sleep(2);
      child.kill('SIGTERM');
    })();
  });
  t.equal(await ended, 130);
  t.same(bench.requests().sort(), ['POST /', 'POST /check/fail', 'POST /check/start']);
  t.match(bench.mail(), /backup interrupted; NO backup has ever succeeded/);
  t.equal(bench.metric('bakker_last_attempt_exit_status'), 130);
  t.equal(bench.metric('bakker_last_success_timestamp_seconds'), 0);
});

t.test('notify --test goes every way, says which failed, and changes no opinion of a monitor', async (t) => {
  await using web = await startWebServer(200);
  const bench = new Bench(t, web);
  const good = await bench.run(['notify', '--test', '--json']);
  t.equal(good.status, 0, good.stderr);
  t.same(
    JSON.parse(good.stdout),
    ['hook hook 1', 'ping', 'mail', 'ntfy', 'prometheus'].map((way) => ({ way, failure: null })),
  );
  t.same(bench.requests().sort(), ['POST /', 'POST /check/log']);
  web.answers = [403];
  const bad = await bench.run(['notify', '--test']);
  t.equal(bad.status, 1);
  t.match(bad.stdout, /^FAIL {2}ntfy: .*answered 403 Forbidden$/m);
  t.match(bad.stdout, /^ok {4}mail$/m);
});

t.test('notify wants to know what to say, and to whom', async (t) => {
  await using web = await startWebServer(200);
  const bench = new Bench(t, web);
  t.equal((await bench.run(['notify'])).status, 2);
  t.equal((await bench.run(['notify', '--test', '--failed', 'x'])).status, 2);
  writeFileSync(bench.configFile, `account: /mnt/x\nsources: [/etc]\n`);
  t.match(await bench.run(['notify', '--test']), { status: 2, stderr: /names nobody to tell/ });
  t.match(await bench.run(['notify', '--failed', 'bakker.service']), {
    status: 0,
    stdout: /Nobody is to be told/,
  });
});
