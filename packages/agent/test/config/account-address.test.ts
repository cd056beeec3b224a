import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { formatAccountAddress, parseAccountAddress } from '../../src/config/account-address.ts';
import type { AccountAddress } from '../../src/config/config.ts';
import { AgentError } from '../../src/errors.ts';

const ssh = (user: string, host: string, port: number, path: string): AccountAddress => ({
  kind: 'ssh',
  user,
  host,
  port,
  path,
});

t.test('every written form of an account is understood', (t) => {
  const understood: readonly (readonly [string, AccountAddress])[] = [
    ['web@store.example:/backups/web', ssh('web', 'store.example', 22, '/backups/web')],
    ['web@store.example:web', ssh('web', 'store.example', 22, 'web')],
    ['web@store.example:', ssh('web', 'store.example', 22, '.')],
    ['web@store.example:/', ssh('web', 'store.example', 22, '/')],
    ['web@store.example:a//b/./c/', ssh('web', 'store.example', 22, 'a/b/c')],
    ['web@store.example:a:b@c', ssh('web', 'store.example', 22, 'a:b@c')],
    ['web@[2001:db8::1]:/x', ssh('web', '2001:db8::1', 22, '/x')],
    ['web@[fe80::1%eth0]:x', ssh('web', 'fe80::1%eth0', 22, 'x')],
    ['web@domain@store:/x', ssh('web@domain', 'store', 22, '/x')],
    ['ssh://web@store.example', ssh('web', 'store.example', 22, '.')],
    ['ssh://web@store.example:2222/x/y', ssh('web', 'store.example', 2222, '/x/y')],
    ['ssh://web@store.example:2222/./x', ssh('web', 'store.example', 2222, 'x')],
    ['ssh://web@store.example:2222/.', ssh('web', 'store.example', 2222, '.')],
    ['SSH://web@[::1]:2222/with%20space', ssh('web', '::1', 2222, '/with space')],
    ['/mnt/backups/', { kind: 'local', folder: '/mnt/backups' }],
    ['/', { kind: 'local', folder: '/' }],
    ['/mnt/a:b@c', { kind: 'local', folder: '/mnt/a:b@c' }],
    ['file:///mnt/with%20space', { kind: 'local', folder: '/mnt/with space' }],
    ['file://localhost/mnt', { kind: 'local', folder: '/mnt' }],
  ];
  for (const [text, address] of understood) t.strictSame(parseAccountAddress(text), address, text);
  t.end();
});

t.test('an address that can not be meant is refused with the reason', (t) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['', /empty/],
    [' web@store:/x', /space/],
    ['web@store:/x\n', /control/],
    ['store.example:/x', /names no user/],
    ['@store:/x', /names no user/],
    ['ssh://store.example/x', /names no user/],
    ['web@:/x', /names no host/],
    ['web@store', /can't be read/],
    ['backups/web', /can't be read/],
    ['./backups', /can't be read/],
    ['web@store:~/x', /~ means nothing/],
    ['web@store:~', /~ means nothing/],
    ['ssh://web@store/~/x', /~ means nothing/],
    ['web@store:/a/../b', /'\.\.'/],
    ['/mnt/../b', /'\.\.'/],
    ['-oProxyCommand=x@store:/x', /no user name/],
    ['web@-oProxyCommand=x:/x', /no host name/],
    ['web@[store]:/x', /no IPv6/],
    ['ssh://web@store:0/x', /port/],
    ['ssh://web@store:65536/x', /port/],
    ['ssh://web@store:22x/x', /port/],
    ['ssh://web@store/%zz', /%25/],
    ['ssh://web@store/a%00b', /control/],
    ['ssh://web@store/%2e%2e/b', /'\.\.'/],
    ['sftp://web@store/x', /sftp is no kind of storage/],
    ['file://elsewhere/x', /file:\/\/\/folder/],
  ];
  for (const [text, reason] of refused) {
    try {
      parseAccountAddress(text);
      t.fail(`${JSON.stringify(text)} was taken`);
    } catch (error) {
      t.ok(error instanceof AgentError && error.code === 'CONFIG_INVALID', JSON.stringify(text));
      t.match(String(error), reason, JSON.stringify(text));
    }
  }
  t.end();
});

t.test('a password is refused and never repeated', (t) => {
  for (const text of ['ssh://web:geheim@store/x', 'web:geheim@store:/x', 'sftp://web:geheim@store/x']) {
    try {
      parseAccountAddress(text);
      t.fail(`${text} was taken`);
    } catch (error) {
      t.ok(error instanceof AgentError);
      t.match(String(error), /password/);
      t.notMatch(`${String(error)} ${error instanceof AgentError ? error.hint : ''}`, /geheim/);
    }
  }
  t.end();
});

t.test('every address is written so that it reads back the same', (t) => {
  const part = fc.string({ unit: fc.constantFrom(...'abcXYZ019 _-@:%#é/'), minLength: 1, maxLength: 12 });
  const path = fc.tuple(fc.boolean(), part).map(([absolute, text]) => {
    const parts = text.split('/').filter((piece) => piece.trim() !== '');
    const joined = parts.join('/').trim();
    return absolute ? `/${joined}` : joined === '' ? '.' : joined;
  });
  const address = fc.oneof(
    fc.record(
      {
        kind: fc.constant('ssh' as const),
        user: fc.constantFrom('web', 'a.b-c', 'web@domain', 'DOMAIN\\web', 'é%'),
        host: fc.constantFrom('store', 'store.example', '10.0.0.1', '::1', 'fe80::1%eth0'),
        port: fc.oneof(fc.constant(22), fc.integer({ min: 1, max: 65_535 })),
        path,
      },
      { noNullPrototype: true },
    ),
    fc.record(
      {
        kind: fc.constant('local' as const),
        folder: path.map((text) => (text.startsWith('/') ? text : text === '.' ? '/' : `/${text}`)),
      },
      { noNullPrototype: true },
    ),
  );
  fc.assert(
    fc.property(address, (given) => {
      deepStrictEqual(parseAccountAddress(formatAccountAddress(given)), given);
    }),
    { numRuns: 500 },
  );
  t.pass('500 addresses');
  t.end();
});
