import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { linuxNotifier } from '../../src/adapters/notify/linux-notifier.ts';
import { fileMemory } from '../../src/adapters/notify/memory.ts';
import { renderMail } from '../../src/notify/mail-message.ts';

const { signal } = new AbortController();
const INPUT = { env: { BAKKER_EVENT: 'failure' }, stdin: '{"event":"failure"}\n' };
const HOOK = { name: 'tell', on: ['failure'], user: undefined, timeoutMs: 10_000 } as const;

t.test(
  'a hook gets the facts in its environment and on its standard input, and nothing of ours',
  async (t) => {
    const folder = t.testdir();
    process.env['BAKKER_TEST_SECRET'] = 'ours';
    const script = `printf '%s %s' "$BAKKER_EVENT" "$BAKKER_TEST_SECRET" > ${folder}/env; cat > ${folder}/stdin`;
    await linuxNotifier.runHook({ ...HOOK, argv: ['/bin/sh', '-c', script] }, INPUT, { signal });
    t.equal(readFileSync(join(folder, 'env'), 'utf8'), 'failure ');
    t.equal(readFileSync(join(folder, 'stdin'), 'utf8'), INPUT.stdin);
  },
);

t.test('a hook runs as the user that is named', async (t) => {
  const folder = t.testdir();
  chmodSync(folder, 0o777);
  const argv = ['/bin/sh', '-c', `id -un > ${folder}/who`];
  await linuxNotifier.runHook({ ...HOOK, user: 'nobody', argv }, INPUT, { signal });
  t.equal(readFileSync(join(folder, 'who'), 'utf8'), 'nobody\n');
  await t.rejects(
    linuxNotifier.runHook({ ...HOOK, user: 'no-such-user', argv }, INPUT, { signal }),
    /no user/,
  );
});

t.test('a hook that fails says why, one that does not read its input does not matter', async (t) => {
  const fails = { ...HOOK, argv: ['/bin/sh', '-c', 'echo no way >&2; exit 3'] };
  await t.rejects(linuxNotifier.runHook(fails, INPUT, { signal }), /ended with status 3: no way/);
  const large = { ...INPUT, stdin: 'x'.repeat(1_000_000) };
  await linuxNotifier.runHook({ ...HOOK, argv: ['/bin/true'] }, large, { signal });
  await t.rejects(linuxNotifier.runHook({ ...HOOK, argv: ['/no/such/thing'] }, INPUT, { signal }), /ENOENT/);
});

t.test('at its time limit a hook ends with all that it started, in its group or out of it', async (t) => {
  const folder = t.testdir();
  const script = `sh -c 'echo $$ > ${folder}/child; trap "" TERM; sleep 60' & setsid sh -c 'echo $$ > ${folder}/away; sleep 60' & wait`;
  const argv = ['/bin/sh', '-c', script];
  const hasStarted = (): boolean => ['child', 'away'].every((name) => existsSync(join(folder, name)));
  // a busy machine may need longer to start it
  for (let timeoutMs = 700; !hasStarted(); timeoutMs *= 2)
    await t.rejects(
      linuxNotifier.runHook({ ...HOOK, timeoutMs, argv }, INPUT, { signal }),
      `did not end within ${timeoutMs / 1000} s, and was killed`,
    );
  for (const name of ['child', 'away']) {
    const pid = readFileSync(join(folder, name), 'utf8').trim();
    while (isRunning(pid)) await sleep(20);
    t.pass(`${name} is gone`);
  }
});

/** A zombie that nobody waits for has ended too. */
function isRunning(pid: string): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

t.test('a mail reaches sendmail whole, and nothing in it becomes a header', async (t) => {
  const folder = t.testdir();
  const program = join(folder, 'sendmail');
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${folder}/args; cat > ${folder}/mail\n`, { mode: 0o755 });
  const settings = {
    on: ['failure'],
    to: ['ops@example.org', 'root'],
    from: 'web1@example.org',
    program,
    timeoutMs: 10_000,
  } as const;
  const subject = 'bakker: wéb1\nBcc: everybody@example.org\r\n\r\nbody: ' + 'ä'.repeat(200);
  const text = `first\n.\nBcc: x\n${'ü'.repeat(1000)}`;
  await linuxNotifier.sendMail(settings, renderMail(settings, { subject, text }), { signal });
  t.equal(readFileSync(join(folder, 'args'), 'utf8'), '-t -i\n');
  const mail = readFileSync(join(folder, 'mail'), 'utf8');
  const end = mail.indexOf('\n\n');
  const headers = mail
    .slice(0, end)
    .replace(/\n[ \t]/g, ' ')
    .split('\n');
  t.same(
    headers.map((line) => line.split(':')[0]),
    ['From', 'To', 'Subject', 'MIME-Version', 'Content-Type', 'Content-Transfer-Encoding', 'Auto-Submitted'],
  );
  t.equal(headers[1], 'To: ops@example.org, root');
  t.equal(decodeWords(headers[2] ?? ''), `Subject: ${subject.replace(/[\r\n]+/g, ' ')}`);
  t.equal(mail.slice(end + 2).replace(/\n/g, ''), text.replace(/\n/g, ''));
  t.match(mail.slice(end + 2), /^first\n\.\nBcc: x\n/);
  for (const line of mail.split('\n')) t.ok(Buffer.byteLength(line) <= 998);
  t.ok(
    mail
      .slice(0, end)
      .split('\n')
      .every((line) => /^[\x20-\x7e]*$/.test(line)),
    'headers are ASCII',
  );
});

/** RFC 2047, on its own: white space between two encoded words means nothing. */
function decodeWords(line: string): string {
  return line
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?UTF-8\?B\?([^?]*)\?=/g, (_, word: string) => Buffer.from(word, 'base64').toString());
}

t.test('a mail system that is not there, refuses or hangs is a failure', async (t) => {
  const folder = t.testdir();
  const settings = { on: [], to: ['root'], from: undefined, timeoutMs: 300 };
  const missing = { ...settings, program: '/no/sendmail' };
  await t.rejects(linuxNotifier.sendMail(missing, 'x', { signal }), /can't be started|ENOENT/);
  const program = join(folder, 'sendmail');
  writeFileSync(program, '#!/bin/sh\nsleep 60\n', { mode: 0o755 });
  await t.rejects(linuxNotifier.sendMail({ ...settings, program }, 'x', { signal }), /did not end within/);
});

t.test('metrics replace their file whole, and a symlink there is not followed', async (t) => {
  const folder = t.testdir({ precious: 'mine', 'a.prom': t.fixture('symlink', 'precious') });
  const file = join(folder, 'a.prom');
  await linuxNotifier.writeMetrics({ file }, 'bakker_x 1\n');
  t.equal(readFileSync(file, 'utf8'), 'bakker_x 1\n');
  t.equal(statSync(file).mode & 0o777, 0o644);
  t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'mine');
  t.same(readdirSync(folder).sort(), ['a.prom', 'precious']);
  await t.rejects(linuxNotifier.writeMetrics({ file: '/no/such/folder/a.prom' }, 'x'), /ENOENT/);
});

t.test('what is remembered comes back; a damaged memory is an empty one', async (t) => {
  const folder = join(t.testdir(), 'state');
  const memory = fileMemory(folder);
  t.same(await memory.read(), {});
  await memory.save({ invocation: 'abc' });
  t.match(await memory.read(), { invocation: 'abc' });
  for (const text of ['{"version":1', '[]', 'null', '{"version":2,"invocation":"abc"}']) {
    writeFileSync(join(folder, 'notify.json'), text);
    t.same(await memory.read(), {}, text);
  }
});
