import fc from 'fast-check';
import t from 'tap';
import { InOrder } from '../../src/backup/in-order.ts';

t.test('results come out in the order of their beginning, whatever order they end in', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ isDropped: fc.boolean(), priority: fc.nat(1000) })), (works) => {
      const order = new InOrder<number>();
      const slots = works.map((work, index) => ({ slot: order.add(), index, ...work }));
      const out: number[] = [];
      for (const { slot, index, isDropped } of slots.toSorted((a, b) => a.priority - b.priority)) {
        if (isDropped) slot.state = 'dropped';
        else Object.assign(slot, { value: index, state: 'filled' });
        out.push(...order.take());
      }
      const expected = slots.filter(({ isDropped }) => !isDropped).map(({ index }) => index);
      return order.waitingCount === 0 && JSON.stringify(out) === JSON.stringify(expected);
    }),
  );
  t.pass();
});

t.test('what waits for the first is counted and kept back', async (t) => {
  const order = new InOrder<string>();
  const [first, second] = [order.add(), order.add()];
  Object.assign(second, { value: 'second', state: 'filled' });
  t.same(order.take(), []);
  t.equal(order.waitingCount, 2);
  Object.assign(first, { value: 'first', state: 'filled' });
  t.same(order.take(), ['first', 'second']);
});
