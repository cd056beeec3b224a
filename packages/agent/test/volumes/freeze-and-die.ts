/**
 * Freezes sources and dies of SIGKILL at one moment: `node freeze-and-die.ts STATE VIEWS PATH MOMENT SOURCE…`. Moments are
 * after each record, while and after each command that changes something, before each mount and after each undoing. Without that many, it ends well.
 */
import { SqliteUndoJournal } from '../../src/adapters/undo/sqlite-undo-journal.ts';
import { commandsFrom, type RunCommand } from '../../src/adapters/volumes/commands.ts';
import { openVolumes } from '../../src/adapters/volumes/open-volumes.ts';
import type { UndoJournal } from '../../src/ports/undo-journal.ts';
import { freeze } from '../../src/volumes/freeze.ts';
import { source } from './world.ts';

const [stateDir = '', viewsDir = '', path = '', dieAt = '', ...sources] = process.argv.slice(2);
let moments = 0;

function moment(): void {
  moments++;
  if (moments === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
}

const run = commandsFrom(path);
const command: RunCommand = async (argv, options) => {
  const changes = /create|snapshot$|remove|delete/.test(argv.slice(0, 3).join(' '));
  if (!changes) return run(argv, options);
  const running = run(argv, options);
  moment(); // it is started, and goes on without us
  const end = await running;
  moment();
  return end;
};
const real = new SqliteUndoJournal(stateDir, { nowMs: () => Date.now() });
const journal: UndoJournal = {
  record: (step) => {
    const id = real.record(step);
    moment();
    return id;
  },
  settle: (id) => {
    real.settle(id);
    moment();
  },
  settleOnDisk: (ids) => real.settleOnDisk(ids),
  pending: () => real.pending(),
};
const { signal } = new AbortController();
signal.throwIfAborted = moment;

const volumes = openVolumes({ viewsDir, command });
const plan = await volumes.plan(sources.map((at) => source(at)));
{
  await using view = await freeze(volumes, plan, { journal, signal, id: 'dying' });
  moment();
  await view.check();
}
real[Symbol.dispose]();
process.stdout.write(`${moments}\n`);
