import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { ping, publish } from '../../src/adapters/notify/web.ts';
import { startWebServer } from './web-server.ts';

const SECRET = '5e1f-very-secret';
const { signal } = new AbortController();
const QUICK = { timeoutMs: 150, retries: 0 };

async function failureOf(act: Promise<void>): Promise<string> {
  try {
    await act;
  } catch (error) {
    if (error instanceof Error) return error.message;
    throw error;
  }
  throw new Error('it went well');
}

t.test('a ping says start, success, fail and log by its path, with the message as its body', async (t) => {
  await using web = await startWebServer(200);
  const settings = { ...QUICK, timeoutMs: 5_000, url: `${web.url}/${SECRET}/?rid=7` };
  for (const event of ['start', 'success', 'fail', 'log'] as const)
    await ping(settings, { event, body: `ünder way: ${event}` }, { signal });
  t.same(
    web.received.map(({ path }) => path),
    [`/${SECRET}/start?rid=7`, `/${SECRET}?rid=7`, `/${SECRET}/fail?rid=7`, `/${SECRET}/log?rid=7`],
  );
  t.ok(web.received.every(({ method }) => method === 'POST'));
  t.equal(web.received[2]?.body, 'ünder way: fail');
});

t.test('the URL can be kept in a file that others may not read', async (t) => {
  await using web = await startWebServer(200);
  const file = join(t.testdir({ url: `${web.url}/${SECRET}\n` }), 'url');
  const settings = { ...QUICK, timeoutMs: 5_000, url: { from: 'file', file } } as const;
  chmodSync(file, 0o644);
  t.match(await failureOf(ping(settings, { event: 'fail', body: '' }, { signal })), /may read it/);
  chmodSync(file, 0o600);
  await ping(settings, { event: 'fail', body: '' }, { signal });
  t.equal(web.received[0]?.path, `/${SECRET}/fail`);
});

t.test('a server that fails for a moment is asked again, one that refuses is not', async (t) => {
  await using web = await startWebServer(503, 200);
  await ping({ url: web.url, timeoutMs: 5_000, retries: 1 }, { event: 'success', body: 'x' }, { signal });
  t.equal(web.received.length, 2);

  await using refusing = await startWebServer(404);
  const settings = { url: `${refusing.url}/${SECRET}`, timeoutMs: 5_000, retries: 3 };
  const message = await failureOf(ping(settings, { event: 'fail', body: 'x' }, { signal }));
  t.match(message, /answered 404/);
  t.notMatch(message, SECRET);
  t.equal(refusing.received.length, 1);
});

t.test('what hangs, refuses, fails or sends elsewhere is a failure that keeps the secret', async (t) => {
  await using web = await startWebServer('hang');
  const about = { event: 'fail', body: 'x' } as const;
  const hangs = await failureOf(ping({ ...QUICK, url: `${web.url}/${SECRET}` }, about, { signal }));
  t.match(hangs, /did not answer within 0.15 s/);

  web.answers = [500];
  t.match(
    await failureOf(ping({ ...QUICK, timeoutMs: 5_000, url: web.url }, about, { signal })),
    /answered 500/,
  );
  web.answers = [302];
  t.match(
    await failureOf(ping({ ...QUICK, timeoutMs: 5_000, url: web.url }, about, { signal })),
    /answered 302/,
  );

  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const url = `http://127.0.0.1:${port}/${SECRET}`;
  const refused = await failureOf(ping({ url, timeoutMs: 5_000, retries: 0 }, about, { signal }));
  t.match(refused, /can't be reached: .*ECONNREFUSED/);
  const nowhere = `http://nowhere.invalid/${SECRET}`;
  const unknown = await failureOf(ping({ url: nowhere, timeoutMs: 5_000, retries: 0 }, about, { signal }));
  t.match(unknown, /nowhere.invalid (can't be reached|did not answer)/);
  for (const message of [hangs, refused, unknown]) t.notMatch(message, SECRET);
});

t.test('the end of all time ends a ping that still has tries', async (t) => {
  await using web = await startWebServer('hang');
  const stop = new AbortController();
  const settings = { url: web.url, timeoutMs: 60_000, retries: 5 };
  const failure = failureOf(ping(settings, { event: 'fail', body: '' }, { signal: stop.signal }));
  while (web.received.length === 0) await sleep(5);
  stop.abort();
  await failure;
  t.equal(web.received.length, 1);
});

t.test('ntfy gets JSON and the token of a file', async (t) => {
  await using web = await startWebServer(200);
  const token = join(t.testdir({ token: `${SECRET}\n` }), 'token');
  chmodSync(token, 0o600);
  const settings = {
    url: web.url,
    topic: 'backups',
    on: [],
    token: { from: 'file', file: token },
    timeoutMs: 5_000,
    retries: 0,
  } as const;
  const message = { title: 'wéb1\r\nX-Evil: 1', text: 'line\nline', priority: 4, tags: ['warning'] };
  await publish(settings, message, { signal });
  const [got] = web.received;
  t.equal(got?.headers['authorization'], `Bearer ${SECRET}`);
  t.equal(got?.headers['x-evil'], undefined);
  t.same(JSON.parse(got?.body ?? ''), {
    topic: 'backups',
    title: message.title,
    message: message.text,
    priority: 4,
    tags: ['warning'],
  });
});
