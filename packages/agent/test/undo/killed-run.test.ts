import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { SqliteUndoJournal } from '../../src/adapters/undo/sqlite-undo-journal.ts';
import type { ServiceSettings } from '../../src/config/service-settings.ts';
import { BAKKER } from '../cli/run-bakker.ts';

const SCRIPT = new URL('run-window.ts', import.meta.url).pathname;
const NODE = ['--disable-warning=ExperimentalWarning', SCRIPT];

/** Folders stand for what stands still; a log has what really happened. */
class Place implements Disposable {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-killed-'));
  readonly stateDir = path.join(this.folder, 'state');

  constructor() {
    fs.mkdirSync(path.join(this.folder, 'standing'));
    fs.writeFileSync(
      path.join(this.folder, 'services.json'),
      JSON.stringify(['db', 'web'].map((name) => this.#service(name))),
    );
  }

  #service(name: string): ServiceSettings {
    const shell = (text: string): string[] => ['/bin/sh', '-c', text.replaceAll('NAME', name)];
    return {
      name,
      timeoutMs: 20_000,
      kind: 'command',
      enter: shell(
        // both by the shell itself: a death between the two would look like a service that was left twice
        `cd ${this.folder}; touch entering-NAME; sleep 0.1; echo enter NAME >>log; : >standing/NAME`,
      ),
      leave: shell(
        `cd ${this.folder}; touch leaving-NAME; sleep 0.05; [ ! -e broken ] || { echo no luck >&2; exit 3; }; if rm standing/NAME 2>/dev/null; then echo leave NAME >>log; fi`,
      ),
      user: undefined,
    };
  }

  async run(point: string): Promise<unknown> {
    const child = spawn(process.execPath, [...NODE, this.folder, point], { stdio: 'inherit' });
    const [status, signal]: unknown[] = await once(child, 'exit');
    return signal ?? status;
  }

  async recover(...words: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
    const child = spawn(BAKKER, ['recover', '--state', this.stateDir, ...words]);
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ]);
    return { status, stdout, stderr };
  }

  pending(): unknown {
    using journal = new SqliteUndoJournal(this.stateDir, { nowMs: Date.now });
    return journal.pending();
  }

  log(): string[] {
    const file = path.join(this.folder, 'log');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  standing(): string[] {
    return fs.readdirSync(path.join(this.folder, 'standing'));
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

// each waits mostly for its own commands
t.jobs = 4;

const PER_SERVICE = ['before-record', 'recorded', 'entering', 'entered'];
const LEAVING = ['leaving', 'left', 'settled'];
const POINTS = [
  ...['db', 'web'].flatMap((name) => PER_SERVICE.map((word) => `${word} ${name}`)),
  'snapshot',
  ...['web', 'db'].flatMap((name) => LEAVING.map((word) => `${word} ${name}`)),
];

t.test('a run that nobody kills leaves nothing to recover', async (t) => {
  using place = new Place();
  t.equal(await place.run('never'), 0);
  t.same(place.log(), ['enter db', 'enter web', 'leave web', 'leave db']);
  t.match(await place.recover(), { status: 0, stdout: /^Nothing to undo/ });
});

for (const point of POINTS) {
  t.test(`killed at "${point}", recovery leaves each service once, in reverse order`, async (t) => {
    using place = new Place();
    t.equal(await place.run(point), 'SIGKILL');
    const { status, stdout } = await place.recover('--json');
    t.equal(status, 0);
    t.match(JSON.parse(stdout), { failed: { length: 0 } });
    t.same(place.standing(), []);
    const entered = place.log().filter((line) => line.startsWith('enter'));
    const left = place.log().filter((line) => line.startsWith('leave'));
    t.same(left, entered.map((line) => line.replace('enter', 'leave')).toReversed());
    if (point.startsWith('entering')) {
      // longer than the orphan would have needed
      await new Promise((resolve) => setTimeout(resolve, 300));
      t.same(place.standing(), [], 'what went on entering by itself was ended');
    }
    t.same(place.pending(), [], 'the journal is empty');
  });
}

t.test('the steps of a run that lives are its own', async (t) => {
  using place = new Place();
  const child = spawn(process.execPath, [...NODE, place.folder, 'stay'], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  while (!fs.existsSync(path.join(place.folder, 'stays')))
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.match(await place.recover('--json'), {
    status: 11,
    stdout: '',
    stderr: /another bakker is at work here: backup, process/,
  });
  t.same(place.standing(), ['db', 'web']);
  child.kill('SIGKILL');
  await ended;
  t.match(await place.recover(), { status: 0, stdout: /^Undone: leave web .*\nUndone: leave db / });
  t.same(place.standing(), []);
});

t.test(
  'a step that can not be undone is told with its reason, stays, and is undone once it can be',
  async (t) => {
    using place = new Place();
    t.equal(await place.run('snapshot'), 'SIGKILL');
    fs.writeFileSync(path.join(place.folder, 'broken'), '');
    t.match(await place.recover(), {
      status: 14,
      stdout:
        /^NOT undone: leave web \(.*\): \/bin\/sh ended with status 3: no luck\n {2}docs\/quiesce\.md says/m,
    });
    const { status, stdout } = await place.recover('--json');
    t.equal(status, 14);
    t.match(JSON.parse(stdout), {
      undone: { length: 0 },
      failed: [{ kind: 'leave-command', what: 'leave web' }, { what: 'leave db' }],
    });
    fs.rmSync(path.join(place.folder, 'broken'));
    t.equal((await place.recover()).status, 0);
    t.same(place.standing(), []);
  },
);
