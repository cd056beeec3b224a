import Database from 'better-sqlite3';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { SqliteUndoJournal } from '../../src/adapters/undo/sqlite-undo-journal.ts';

const SOURCE = new URL('../../src/adapters/undo/sqlite-undo-journal.ts', import.meta.url).href;
const clock = { nowMs: () => 1_700_000_000_123 };

function withFolder(act: (dir: string) => void): void {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-undo-'));
  try {
    act(dir);
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}

t.test('steps are given back newest first, as they were, until they are settled', (t) => {
  withFolder((dir) => {
    const step = {
      kind: 'leave-command',
      argv: ['a b', '"', 'é\n'],
      user: null,
      nested: { deep: [1.5, true] },
    };
    {
      using journal = new SqliteUndoJournal(dir, clock);
      t.same(journal.pending(), []);
      const first = journal.record(step);
      journal.record({ kind: 'unmount', path: '/x' });
      const third = journal.record({ kind: 'third' });
      journal.settle(third);
      journal.settle(third);
      t.same(
        journal.pending().map(({ step }) => step.kind),
        ['unmount', 'leave-command'],
      );
      t.not(journal.record({ kind: 'fourth' }), third, 'an id is never used again');
      journal.settle(first);
    }
    using journal = new SqliteUndoJournal(dir, clock);
    t.match(journal.pending(), [{ step: { kind: 'fourth' } }, { step: { kind: 'unmount', path: '/x' } }]);
    const again = journal.record(step);
    t.same(journal.pending()[0], { id: again, step, recordedAtMs: 1_700_000_000_123 });
  });
  t.end();
});

t.test('what undoing wrote is on the disk before its steps are forgotten', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-undo-'));
  t.teardown(() => fs.rmSync(dir, { recursive: true }));
  using journal = new SqliteUndoJournal(dir, clock);
  const steps = ['one', 'two', 'three'].map((kind) => journal.record({ kind }));
  const forgetting = journal.settleOnDisk(steps.slice(1));
  t.equal(journal.pending().length, 3, 'not at once');
  await forgetting;
  t.match(journal.pending(), [{ step: { kind: 'one' } }]);
  await journal.settleOnDisk([]);
});

t.test('a step outlives the kill of the process that recorded it', (t) => {
  withFolder((dir) => {
    const script = `const { SqliteUndoJournal } = await import(${JSON.stringify(SOURCE)});
      const journal = new SqliteUndoJournal(${JSON.stringify(dir)}, { nowMs: Date.now });
      journal.settle(journal.record({ kind: 'done' }));
      journal.record({ kind: 'open' });
      process.kill(process.pid, 'SIGKILL');`;
    const { signal } = spawnSync(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      script,
    ]);
    t.equal(signal, 'SIGKILL');
    using journal = new SqliteUndoJournal(dir, clock);
    t.same(
      journal.pending().map(({ step }) => step.kind),
      ['open'],
    );
  });
  t.end();
});

t.test('every commit is synced to the disk', (t) => {
  withFolder((dir) => {
    using _journal = new SqliteUndoJournal(dir, clock);
    t.equal(fs.statSync(path.join(dir, 'undo.sqlite')).mode & 0o777, 0o600);
    const script = `const { SqliteUndoJournal } = await import(${JSON.stringify(SOURCE)});
      const journal = new SqliteUndoJournal(${JSON.stringify(dir)}, { nowMs: Date.now });
      process.stderr.write('RECORDING\\n');
      journal.record({ kind: 'a' });
      process.stderr.write('RECORDED\\n');
      process.exit(0);`;
    const { stderr } = spawnSync(
      'strace',
      [
        '-f',
        '-e',
        'trace=fsync,fdatasync,write',
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        '--input-type=module',
        '-e',
        script,
      ],
      { encoding: 'utf8' },
    );
    const during = stderr.slice(stderr.indexOf('RECORDING'), stderr.indexOf('RECORDED'));
    t.match(during, /f(data)?sync\(\d+\) += 0/);
  });
  t.end();
});

t.test('a journal that can not be read is never taken for an empty one', (t) => {
  for (const damage of ['not a database at all, but quite some text '.repeat(200), '']) {
    withFolder((dir) => {
      const file = path.join(dir, 'undo.sqlite');
      if (damage === '') {
        const database = new Database(file);
        database.pragma('user_version = 99');
        database.close();
      } else fs.writeFileSync(file, damage);
      t.throws(() => new SqliteUndoJournal(dir, clock), { code: 'STATE_UNUSABLE', message: /undo\.sqlite/ });
      t.ok(fs.existsSync(file));
    });
  }
  t.end();
});

t.test('what can not be recorded because the disk is full is an error', (t) => {
  withFolder((dir) => {
    const mount = path.join(dir, 'small');
    fs.mkdirSync(mount);
    t.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', mount]).status, 0);
    try {
      using journal = new SqliteUndoJournal(mount, clock);
      try {
        fs.writeFileSync(path.join(mount, 'ballast'), Buffer.alloc(65_536));
      } catch {
        // as full as can be
      }
      t.throws(
        () => {
          for (let n = 0; n < 100; n++) journal.record({ kind: 'large', text: 'x'.repeat(4_000) });
        },
        { code: 'STATE_UNUSABLE' },
      );
    } finally {
      spawnSync('umount', [mount]);
    }
  });
  t.end();
});
