import t from 'tap';
import { accountOwners } from '../../src/adapters/runs/account-owners.ts';

t.test('a process that was killed in the name of an account is told', async (t) => {
  const folder = t.testdir({ 'program.js': `process.kill(process.pid, 'SIGKILL')`, web1: { '.bakker': {} } });
  const [node = '', ...others] = process.argv;
  process.argv = [node, `${folder}/program.js`, ...others.slice(1)];
  t.teardown(() => (process.argv = [node, ...others]));
  const work = { rootDir: folder, account: 'web1', signal: new AbortController().signal };
  await t.rejects(accountOwners.delegate(work, ['retention']), {
    code: 'FAILED',
    message: 'the process that worked in web1 was ended by SIGKILL',
  });
});
