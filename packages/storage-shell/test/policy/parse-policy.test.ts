import t from 'tap';
import fc from 'fast-check';
import { StorageError } from '../../src/errors.ts';
import { DEFAULT_POLICY } from '../../src/policy/account-policy.ts';
import { formatAccountPolicy, parseAccountPolicy } from '../../src/policy/parse-policy.ts';

const parse = (text: string) => parseAccountPolicy(text, 'account.yaml');

function problemsOf(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'CONFIG_INVALID') throw error;
    return error.message.split('\n').map((line) => line.trim());
  }
  return [];
}

t.test('an empty file, and none of the keys, means the defaults', (t) => {
  for (const text of ['', '# nothing\n', 'retention:\n', '{}']) t.same(parse(text), DEFAULT_POLICY);
  t.end();
});

t.test('every key is read', (t) => {
  const text = `retention: {days: 3, instances: 2, months: 1, years: 0}
freeze: {share: 12.5%, min-files: 7, max-runs-a-day: 5}
space: {limit: 20G, reserve: 64MiB, ceiling: 1.5T}
trash: {keep-hours: 0}`;
  t.same(parse(text), {
    retention: { days: 3, instances: 2, months: 1, years: 0 },
    freeze: { goneShare: 0.125, minFiles: 7, maxRunsADay: 5 },
    space: { limitBytes: 20 * 2 ** 30, reserveBytes: 64 * 2 ** 20, ceilingBytes: 1.5 * 2 ** 40 },
    trash: { keepHours: 0 },
  });
  t.end();
});

t.test('the policy is frozen through and through', (t) => {
  for (const policy of [parse('trash: {keep-hours: 1}'), DEFAULT_POLICY]) {
    t.ok(Object.isFrozen(policy));
    for (const part of Object.values(policy)) t.ok(Object.isFrozen(part));
  }
  t.end();
});

t.test('every mistake is listed with its line and the nearest key', (t) => {
  const text = `retension:
  days: 3
retention:
  day: 3
  months: -1
freeze:
  minFiles: 3
  share: 150%
space:
  limit: lots
trash: soon
colour: red
`;
  t.same(problemsOf(text), [
    'account.yaml has 8 problems:',
    'line 1: retension: unknown key; did you mean retention?',
    'line 4: retention.day: unknown key; did you mean days?',
    'line 5: retention.months: must be a whole number from 0 to 100000',
    'line 7: freeze.minFiles: unknown key; did you mean min-files?',
    'line 8: freeze.share: must be a share such as 50%, or 0.5',
    'line 10: space.limit: must be a size such as 500M or 20G, or none',
    'line 11: trash must be "key: value" lines',
    'line 12: colour: unknown key; known here: retention, freeze, space, trash',
  ]);
  t.end();
});

t.test('what is no YAML, written twice, of another shape or without sense is refused', (t) => {
  t.match(problemsOf('retention: [1'), [/problem/, /line 1: not valid YAML/]);
  t.match(problemsOf('trash: {keep-hours: 1}\ntrash: {keep-hours: 2}'), [/a problem/, /twice/]);
  t.match(problemsOf('- retention'), [/a problem/, /the file must be/]);
  t.match(problemsOf('retention: {days: [1]}'), [/a problem/, /retention.days: must be one plain value/]);
  t.match(problemsOf('retention: {days: 1.5}'), [/a problem/, /whole number/]);
  t.match(problemsOf('retention: {days: 0, instances: 0, months: 0, years: 0}'), [
    /a problem/,
    /keep nothing/,
  ]);
  t.match(problemsOf('space: {ceiling: 1G}'), [/a problem/, /without a limit/]);
  t.match(problemsOf('space: {limit: 2G, ceiling: 1G}'), [/a problem/, /below the limit/]);
  t.end();
});

t.test('what is written is read back', (t) => {
  const count = fc.nat(100_000);
  const size = fc.option(fc.maxSafeNat(), { nil: undefined });
  const policies = fc.record({
    retention: fc.record({
      days: fc.integer({ min: 1, max: 100_000 }),
      instances: count,
      months: count,
      years: count,
    }),
    freeze: fc.record({ goneShare: fc.nat(100).map((n) => n / 100), minFiles: count, maxRunsADay: count }),
    space: fc.record({ limitBytes: size, reserveBytes: size, ceilingBytes: fc.constant(undefined) }),
    trash: fc.record({ keepHours: count }),
  });
  fc.assert(fc.property(policies, (policy) => t.same(parse(formatAccountPolicy(policy)), policy)));
  t.end();
});
