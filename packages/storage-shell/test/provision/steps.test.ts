import t from 'tap';
import { StorageError } from '../../src/errors.ts';
import { runSteps } from '../../src/provision/steps.ts';
import type { Step } from '../../src/provision/steps.ts';

/** A world of facts that steps bring about. */
function world(
  count: number,
  faults: { failAt?: number; halfAt?: number; stuckAt?: number; abort?: AbortController } = {},
) {
  const facts = new Set<number>();
  const log: string[] = [];
  const steps = Array.from({ length: count }, (_, index): Step => ({
    title: `step ${index}`,
    lines: [`do ${index}`],
    isDone: async () => facts.has(index),
    do: async () => {
      if (faults.failAt === index) throw new StorageError('FAILED', 'injected');
      facts.add(index);
      log.push(`do ${index}`);
      if (faults.halfAt === index) throw new StorageError('FAILED', 'injected');
      faults.abort?.abort(new Error('interrupted'));
    },
    undo: async () => {
      if (faults.stuckAt === index) throw new Error('stuck');
      if (facts.delete(index)) log.push(`undo ${index}`);
    },
  }));
  return { facts, log, steps };
}

const options = (change: { isDryRun?: boolean; signal?: AbortSignal; notes?: string[] } = {}) => ({
  isDryRun: change.isDryRun ?? false,
  signal: change.signal ?? new AbortController().signal,
  note: (text: string) => {
    change.notes?.push(text);
  },
});

for (let failAt = 0; failAt < 6; failAt++) {
  for (const kind of ['failAt', 'halfAt'] as const) {
    t.test(
      `when step ${failAt} fails (${kind}), all is as before and the last is undone first`,
      async (t) => {
        const { facts, log, steps } = world(6, { [kind]: failAt });
        await t.rejects(runSteps(steps, options()), { message: 'injected' });
        t.same([...facts], []);
        const undone = log.filter((line) => line.startsWith('undo'));
        t.same(undone, undone.toSorted().reverse());
        t.equal(undone.length, log.length - undone.length);
      },
    );
  }
}

t.test('what was there before the call is not undone', async (t) => {
  const { facts, steps } = world(5, { failAt: 3 });
  facts.add(1);
  await t.rejects(runSteps(steps, options()));
  t.same([...facts], [1]);
});

t.test('a second call does nothing and says so', async (t) => {
  const { log, steps } = world(4);
  t.same(
    (await runSteps(steps, options())).map(({ result }) => result),
    ['done', 'done', 'done', 'done'],
  );
  const before = log.length;
  t.same(
    (await runSteps(steps, options())).map(({ result }) => result),
    ['already', 'already', 'already', 'already'],
  );
  t.equal(log.length, before);
});

t.test('a dry run does nothing and shows each command', async (t) => {
  const { facts, log, steps } = world(3);
  facts.add(0);
  const outcomes = await runSteps(steps, options({ isDryRun: true }));
  t.same(
    outcomes.map(({ result, lines }) => [result, ...lines]),
    [
      ['already', 'do 0'],
      ['would', 'do 1'],
      ['would', 'do 2'],
    ],
  );
  t.same(log, []);
});

t.test('an undo that fails is told and does not keep the others from being undone', async (t) => {
  const { facts, steps } = world(5, { failAt: 4, stuckAt: 2 });
  const notes: string[] = [];
  await t.rejects(runSteps(steps, options({ notes })), { message: 'injected', hint: /step 2/ });
  t.same([...facts], [2]);
  t.match(notes.join('\n'), /could not undo "step 2": stuck/);
});

t.test('an interruption undoes what was done', async (t) => {
  const abort = new AbortController();
  const { facts, log, steps } = world(5, { abort });
  await t.rejects(runSteps(steps, options({ signal: abort.signal })), { message: 'interrupted' });
  t.same([...facts], []);
  t.same(log, ['do 0', 'undo 0']);
});
