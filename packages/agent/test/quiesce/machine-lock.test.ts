import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { lockMachine, machineLockFile } from '../../src/adapters/services/machine-lock.ts';
import { openServices } from '../../src/adapters/services/open-services.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-machine-'));
t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = path.join(folder, 'lock');
const NEVER = new AbortController().signal;

t.test('one holds the machine, and the next waits until it lets go', async (t) => {
  const first = await lockMachine(file, { signal: NEVER });
  t.equal(fs.statSync(file).mode & 0o777, 0o600, 'nobody else can open it, and so hold it');
  const waiting = lockMachine(file, { signal: NEVER });
  let isHeld = false;
  void waiting.then(() => (isHeld = true));
  await new Promise((resolve) => setTimeout(resolve, 250));
  t.notOk(isHeld);
  first[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
});

t.test('who waited long enough is told who holds it', async (t) => {
  using _held = await lockMachine(file, { signal: NEVER });
  await t.rejects(lockMachine(file, { signal: AbortSignal.timeout(50) }), {
    code: 'QUIESCE_FAILED',
    message: new RegExp(
      `^another bakker has held services of this machine for 0 s and more: process ${process.pid}, since 2`,
    ),
  });
});

t.test('what is started meanwhile does not hold it', async (t) => {
  const held = await lockMachine(file, { signal: NEVER });
  const daemon = spawn('sleep', ['300'], { stdio: 'ignore' });
  t.teardown(() => daemon.kill());
  held[Symbol.dispose]();
  (await lockMachine(file, { signal: AbortSignal.timeout(1_000) }))[Symbol.dispose]();
});

t.test('a link that somebody laid in its place is not followed', async (t) => {
  const link = path.join(folder, 'link');
  fs.symlinkSync(path.join(folder, 'elsewhere'), link);
  await t.rejects(lockMachine(link, { signal: NEVER }), { code: 'QUIESCE_FAILED', message: /ELOOP/ });
  t.notOk(fs.existsSync(path.join(folder, 'elsewhere')));
});

t.test('all configurations of the machine have one lock, whatever their state folders', async (t) => {
  t.equal(machineLockFile(), '/run/bakker-services.lock');
  const one = openServices([], path.join(folder, 'one'));
  const other = openServices([], path.join(folder, 'other'));
  using _held = await one.holdMachine({ signal: AbortSignal.timeout(60_000) });
  await t.rejects(other.holdMachine({ signal: AbortSignal.timeout(150) }), { code: 'QUIESCE_FAILED' });
});
