import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { EarlyFlush } from '../src/index.ts';

const MIB = 2 ** 20;

t.test('much is flushed while more is written, one flush at a time', async (t) => {
  const ends: (() => void)[] = [];
  const early = new EarlyFlush(() => new Promise((resolve) => ends.push(resolve)));
  early.wrote(63 * MIB);
  t.equal(ends.length, 0);
  early.wrote(MIB);
  early.wrote(500 * MIB);
  t.equal(ends.length, 1);
  ends[0]?.();
  await turn();
  early.wrote(1);
  t.equal(ends.length, 2, 'what came meanwhile counts');
  let isDisposed = false;
  const disposed = early[Symbol.asyncDispose]().then(() => (isDisposed = true));
  await turn();
  t.notOk(isDisposed, 'a flush is under way');
  ends[1]?.();
  await disposed;
  early.wrote(100 * MIB);
  t.equal(ends.length, 2);
});

t.test('where none can be made now, the next one counts for it', async (t) => {
  let begun = 0;
  let canBegin = false;
  await using early = new EarlyFlush(() => {
    if (!canBegin) return undefined;
    begun++;
    return Promise.resolve();
  });
  early.wrote(100 * MIB);
  t.equal(begun, 0);
  canBegin = true;
  early.wrote(1);
  t.equal(begun, 1);
});
