import t from 'tap';
import { chooseProcessors } from '../../src/adapters/step-back.ts';

t.test('as many processors as asked, of those that are allowed, wherever it begins', (t) => {
  const allowed = [0, 2, 5, 7];
  const begun = new Set<number | undefined>();
  for (let start = 0; start < 12; start++) {
    const chosen = chooseProcessors(allowed, 2, start);
    t.equal(new Set(chosen).size, 2);
    t.ok(chosen.every((one) => allowed.includes(one)));
    t.same(
      chosen,
      chosen.toSorted((a, b) => a - b),
    );
    begun.add(chosen[0]);
  }
  t.ok(begun.size > 1, 'not all programs crowd on the first one');
  t.same(chooseProcessors(allowed, 9, 1), allowed, 'more than there are is all of them');
  t.end();
});
