import { execFileSync } from 'node:child_process';
import { strictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { shellLine } from '../../src/enrol/shell-words.ts';

t.test('a real shell reads back exactly the words that were quoted', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: 'binary' }).filter((word) => !/[\0\ud800-\udfff]/.test(word)),
        { minLength: 1, maxLength: 5 },
      ),
      (words) => {
        const line = shellLine(['printf', '%s\\0', ...words]);
        strictEqual(
          execFileSync('/bin/sh', ['-c', line]).toString(),
          words.map((word) => `${word}\0`).join(''),
        );
      },
    ),
    { numRuns: 150 },
  );
  t.equal(shellLine(['a', '$(reboot)', "it's", '']), `a '$(reboot)' 'it'\\''s' ''`);
  t.end();
});
