import t from 'tap';
import { Budget, LARGE_FILE_BYTES, contentBudgets } from '../../src/backup/budget.ts';

t.test('work waits for room by count and by bytes, and a piece over the limit goes alone', async (t) => {
  const budget = new Budget({ maxCount: 2, maxBytes: 100 });
  t.equal(budget.room(), undefined);
  budget.take(500);
  let isWoken = false;
  const waiting = budget.room()?.then(() => (isWoken = true));
  await Promise.resolve();
  t.notOk(isWoken, 'nothing goes beside a piece that is over the limit');
  budget.give(500);
  await waiting;
  t.ok(isWoken);
  budget.take(1);
  budget.take(1);
  t.ok(budget.room(), 'the count is a limit too');
});

t.test('every waiter is woken in the end', async (t) => {
  const budget = new Budget({ maxCount: 1, maxBytes: 10 });
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let room = budget.room(); room; room = budget.room()) await room;
      budget.take(1);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      budget.give(1);
    }),
  );
  t.equal(most, 1);
});

t.test('small and large files share the memory, and one large file always may go', (t) => {
  const largeAtOnce = (memoryBytes: number): number => {
    const { large } = contentBudgets({ memoryBytes, smallFiles: 10 });
    let count = 0;
    for (; large.room() === undefined; count++) large.take(LARGE_FILE_BYTES);
    return count;
  };
  t.equal(largeAtOnce(64 * 2 ** 20), 4);
  t.equal(largeAtOnce(2 ** 32), 4, 'more would only make the storage seek');
  t.equal(largeAtOnce(16 * 2 ** 20), 1);
  const { small } = contentBudgets({ memoryBytes: 16 * 2 ** 20, smallFiles: 1000 });
  let bytes = 0;
  for (; small.room() === undefined; bytes += 100_000) small.take(100_000);
  t.ok(bytes <= 8 * 2 ** 20 + 100_000, `${bytes} bytes of small files`);
  t.end();
});
