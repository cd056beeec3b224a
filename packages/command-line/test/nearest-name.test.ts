import t from 'tap';
import { nearestName } from '../src/nearest-name.ts';

const NAMES = ['interval', 'retention', 'host-key', 'sources', 'ssh', 'status'];

t.test('a slip leads to the name that was meant', (t) => {
  const slips: readonly (readonly [string, string])[] = [
    ['intervall', 'interval'],
    ['retenshun', 'retention'],
    ['soruces', 'sources'],
    ['hostKey', 'host-key'],
    ['host_key', 'host-key'],
    ['STATUS', 'status'],
    ['shs', 'ssh'],
  ];
  for (const [word, name] of slips) t.equal(nearestName(word, NAMES), name, word);
  t.end();
});

t.test('what is no slip leads nowhere', (t) => {
  for (const word of ['xyzzy', '', 'backup', 'r'.repeat(10_000)])
    t.equal(nearestName(word, NAMES), undefined);
  t.equal(nearestName('status', []), undefined);
  t.end();
});
