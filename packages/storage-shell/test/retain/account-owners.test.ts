import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
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

const MODULE = new URL('../../src/adapters/runs/account-owners.ts', import.meta.url).href;
const BECOME = `
  const { accountOwners } = await import('${MODULE}');
  accountOwners.become(process.argv[1], 'web1');
  const { getuid, geteuid, getgid, getgroups } = process;
  let back = 'root again';
  try { process.setuid(0); } catch (error) { back = error.code; }
  console.log(JSON.stringify([getuid(), geteuid(), getgid(), getgroups(), back]));
`;

t.test('root becomes the user of an account for good, with no group of its own left', (t) => {
  const folder = t.testdir({ web1: { '.bakker': {} } });
  chmodSync(folder, 0o755);
  chownSync(`${folder}/web1`, 54_321, 54_322);
  const child = become([], folder);
  t.equal(child.status, 0, child.stderr);
  t.same(JSON.parse(child.stdout), [54_321, 54_321, 54_322, [54_322], 'EPERM']);
  t.end();
});

t.test('where root may not become somebody else, nothing is done as root', (t) => {
  const folder = t.testdir({ web1: { '.bakker': {} } });
  chownSync(`${folder}/web1`, 54_321, 54_322);
  const child = become(['setpriv', '--bounding-set', '-setuid', '--inh-caps', '-setuid'], folder);
  t.equal(child.stdout, '');
  t.match(child.stderr, /root may not become the user 54321 of web1 here: .*EPERM/);
  t.end();
});

function become(
  through: readonly string[],
  folder: string,
): { status: number | null; stdout: string; stderr: string } {
  const script = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', BECOME, folder];
  const [program = '', ...args] = [...through, process.execPath, ...script];
  return spawnSync(program, args, { encoding: 'utf8' });
}
