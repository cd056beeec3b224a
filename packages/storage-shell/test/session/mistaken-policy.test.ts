import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openKeeper } from '../../src/adapters/runs/disk-keeper.ts';
import { Shell, publishRun, temporaryRoot } from './shell-client.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What a start of the session says when nobody asks anything. */
function start(root: string): { status: number | null; said: string } {
  const options = ['--root', root, '--account', 'server1', '--role', 'backup'];
  const args = ['--disable-warning=ExperimentalWarning', MAIN, 'shell', ...options];
  const { status, stderr } = spawnSync(process.execPath, args, { input: '', encoding: 'utf8' });
  return { status, said: stderr };
}

t.test('an account whose policy nobody can read is not served as if it had none', async (t) => {
  using root = temporaryRoot('mistaken');
  const first = await publishRun(root.path, { file: 'x' });
  const policy = `${root.account}/.bakker/account.yaml`;
  writeFileSync(`${root.path}/shared.yaml`, 'space:\n  limit: 2G\n');
  const mistakes: Record<string, () => void> = {
    'a symlink to a policy': () => symlinkSync('../../shared.yaml', policy),
    'a symlink to nothing': () => symlinkSync('nowhere', policy),
    'a folder': () => mkdirSync(policy),
    'far too long': () => writeFileSync(policy, '# comment\n'.repeat(200_000)),
    misspelt: () => writeFileSync(policy, 'space:\n  limt: 2G\n'),
    'a number': () => writeFileSync(policy, 'space:\n  limit: -1\n'),
    'no text': () => writeFileSync(policy, Buffer.from([0xff, 0xfe, 0, 1])),
  };
  for (const [what, make] of Object.entries(mistakes)) {
    make();
    const { status, said } = start(root.path);
    t.equal(status, 2, `${what}: ${said}`);
    t.match(said, /account\.yaml/, what);
    using keeper = openKeeper(root.path, 'server1');
    t.throws(() => keeper.policy(), { code: 'CONFIG_INVALID' }, `${what}: nor does retention begin`);
    rmSync(policy, { recursive: true });
  }
  t.equal(start(root.path).status, 0, 'without a policy it is served');

  const frozen = `${root.account}/.bakker/frozen.json`;
  for (const [what, make] of Object.entries({
    'a folder': () => mkdirSync(frozen),
    'a symlink': () => symlinkSync('nowhere', frozen),
    'far too long': () => writeFileSync(frozen, ' '.repeat(100_000)),
    empty: () => writeFileSync(frozen, ''),
  })) {
    make();
    await using shell = await Shell.start({ root: root.path });
    t.match((await shell.hello()).frozen, { reason: /can not be read/, sinceRun: first }, what);
    using keeper = openKeeper(root.path, 'server1');
    t.equal(await keeper.remove(first, Date.now()), 'frozen', `${what}: nothing goes`);
    rmSync(frozen, { recursive: true });
  }
});
