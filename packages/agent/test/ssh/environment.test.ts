import t from 'tap';
import { environmentOfSsh } from '../../src/adapters/ssh/environment.ts';

t.test('ssh gets what the user set, and no key or passphrase that was handed to bakker', async (t) => {
  const secrets = ['BAKKER_IDENTITY_KEY', 'BAKKER_PASSPHRASE'];
  for (const name of secrets) process.env[name] = 'secret';
  process.env['SSH_AUTH_SOCK'] = '/run/agent';
  const environment = environmentOfSsh();
  t.notMatch(JSON.stringify(environment), /secret/);
  t.match(environment, { SSH_AUTH_SOCK: '/run/agent', PATH: process.env['PATH'], LC_ALL: 'C' });
});
