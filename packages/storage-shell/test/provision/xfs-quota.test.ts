import t from 'tap';
import { linuxSystem } from '../../src/adapters/system/linux-system.ts';
import type { System } from '../../src/ports/system.ts';
import { parseAccountName } from '../../src/provision/account-name.ts';
import { readPlaces } from '../../src/provision/places.ts';
import { runSteps } from '../../src/provision/steps.ts';
import { xfsQuotaSpace } from '../../src/provision/xfs-quota-space.ts';

t.test('a removal that was cut off when the user was gone already is completed by the next', async (t) => {
  const system: System = {
    ...linuxSystem(),
    user: () => Promise.resolve(undefined),
    mounts: () =>
      Promise.resolve([{ mountPoint: '/', type: 'xfs', source: '/dev/sda1', options: ['prjquota'] }]),
  };
  const places = await readPlaces(system, '/nowhere');
  const space = xfsQuotaSpace({
    system,
    places,
    record: {
      name: parseAccountName('web1'),
      rootDir: '/nowhere',
      backend: { kind: 'xfs-quota' },
      state: 'closed',
      keys: [],
      grants: [],
      ceilingBytes: undefined,
    },
  });
  const outcomes = await runSteps(space.removalSteps(), {
    isDryRun: false,
    signal: new AbortController().signal,
    note: () => undefined,
  });
  t.ok(outcomes.every(({ result }) => result === 'already'));
});
