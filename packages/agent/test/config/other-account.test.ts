import t from 'tap';
import { parseAccountAddress } from '../../src/config/account-address.ts';
import { otherAccountAddress } from '../../src/config/other-account.ts';

const from = (own: string, other: string) =>
  otherAccountAddress(other, { account: parseAccountAddress(own) });

t.test('a name stands for that user on the same host, port and folder', (t) => {
  t.same(from('ssh://web2@storage:2222/', 'web1'), parseAccountAddress('ssh://web1@storage:2222/'));
  t.same(from('web2@storage:/runs', 'web1'), parseAccountAddress('web1@storage:/runs'));
  t.same(from('web2@storage:/backups/web2', 'web1'), parseAccountAddress('web1@storage:/backups/web1'));
  t.same(from('web2@storage:', 'web1'), parseAccountAddress('web1@storage:'));
  t.end();
});

t.test('an address is taken as it is, but not on another machine: the pinned host key is not its', (t) => {
  t.same(from('web2@storage:/', 'web1@storage:/runs'), parseAccountAddress('web1@storage:/runs'));
  t.same(from('/mnt/web2', '/mnt/web1'), parseAccountAddress('/mnt/web1'));
  for (const other of ['web1@elsewhere:/', 'ssh://web1@storage:2222/'])
    t.throws(() => from('web2@storage:/', other), { code: 'USAGE' }, other);
  t.throws(() => from('/mnt/web2', 'web1'), { code: 'USAGE' });
  t.end();
});
