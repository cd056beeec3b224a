import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { installBakker } from './harness/bakker.ts';
import type { Bakker } from './harness/bakker.ts';
import { writeSampleTree } from './harness/sample-tree.ts';
import { BAKKER_STORAGE, startStorageMachine } from './harness/storage-machine.ts';
import type { StorageMachine } from './harness/storage-machine.ts';

/**
 * An administrator of the storage at work on a server: an `ssh` of the system whose configuration knows the storage and its
 * host key, and root's key there. Tests can't write into root's own ~/.ssh, so a launcher names the configuration.
 */
async function administrator(machine: StorageMachine, bakker: Bakker) {
  const key = await machine.newKey('admin');
  const folder = join(machine.folder, 'other-keys');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'root'), `${key.publicKey}\n`);
  const bin = join(bakker.folder, 'bin');
  await mkdir(bin, { recursive: true });
  const hostKey = (await readFile(join(machine.folder, 'host_key.pub'), 'utf8'))
    .split(' ')
    .slice(0, 2)
    .join(' ');
  await writeFile(join(bin, 'known_hosts'), `[127.0.0.1]:${machine.port} ${hostKey}\n`);
  await writeFile(
    join(bin, 'config'),
    `IdentityFile ${key.file}\nIdentitiesOnly yes\nBatchMode yes\nUserKnownHostsFile ${bin}/known_hosts\n`,
  );
  await writeFile(join(bin, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${bin}/config "$@"\n`, { mode: 0o755 });
  // Where the storage's places are its own, as no real one has them.
  const program = join(machine.folder, "it's bakker-storage");
  await writeFile(
    program,
    `#!/bin/sh\nprintf '%s\\n' "$@" > ${machine.folder}/words\nexec ${BAKKER_STORAGE} "$@" --etc ${machine.etc} --root ${machine.rootDir}\n`,
  );
  await chmod(program, 0o755);
  return {
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    flags: ['--provision', `ssh://root@127.0.0.1:${machine.port}`, '--storage-program', program],
    words: async () => (await readFile(join(machine.folder, 'words'), 'utf8')).trim().split('\n'),
  };
}

t.test('init --provision makes account and configuration from the server, and asks nothing', async (t) => {
  await using machine = await startStorageMachine();
  await using bakker = await installBakker();
  const admin = await administrator(machine, bakker);
  const source = join(bakker.folder, 'data');
  writeSampleTree(source, { files: 5 });
  const name = machine.newName();
  const address = `ssh://${name}@127.0.0.1:${machine.port}/`;
  const init = ['init', address, '--source', source, '--size', '1G', '--yes', ...admin.flags];

  const made = await bakker.run(init, { env: admin.env });
  const publicKey = (await readFile(join(bakker.folder, 'etc', 'id_ed25519.pub'), 'utf8'))
    .split(' ')
    .slice(0, 2)
    .join(' ');
  t.same(
    await admin.words(),
    ['provision', name, '--key', publicKey, '--size', '1G', '--json'],
    'each word arrives as it is',
  );
  t.match((await machine.run(['accounts'])).stdout, new RegExp(`${name} .* ok$`, 'm'));
  t.match(await readFile(join(machine.etc, 'keys', name), 'utf8'), `--role backup" ${publicKey}`);
  t.equal(made.status, 0, made.stderr);
  t.match(
    await readFile(bakker.configFile, 'utf8'),
    machine.hostKeyFingerprint,
    'pinned by what the storage itself said',
  );
  t.equal((await bakker.run(init, { env: admin.env })).status, 0, 'and again');
});

t.test('what the storage refuses is told, and nothing is written', async (t) => {
  await using machine = await startStorageMachine();
  await using bakker = await installBakker();
  const admin = await administrator(machine, bakker);
  const address = (name: string): string => `ssh://${name}@127.0.0.1:${machine.port}/`;
  const rest = ['--source', '/etc', '--yes', ...admin.flags];

  const taken = await bakker.run(['init', address('daemon'), ...rest], { env: admin.env });
  t.equal(taken.status, 13, taken.stderr);
  t.match(taken.stderr, /no account of bakker/);
  const missing = await bakker.run(
    [
      'init',
      address(machine.newName()),
      '--source',
      '/etc',
      '--yes',
      ...admin.flags.slice(0, 2),
      '--storage-program',
      'no-such-thing',
    ],
    { env: admin.env },
  );
  t.equal(missing.status, 13);
  t.match(missing.stderr, /there is no no-such-thing/);
  const injected = await bakker.run(['init', address('a;touch${IFS}/tmp/x'), ...rest], { env: admin.env });
  t.not(injected.status, 0);
  const stray = await bakker.run(['init', address(machine.newName()), '--size', '1G', '--source', '/etc']);
  t.equal(stray.status, 2);
  await t.rejects(readFile(bakker.configFile), { code: 'ENOENT' });
  t.match((await machine.run(['accounts'])).stdout, /no account yet/);
});

t.test(
  'without an administrator’s SSH, init prints the line that the administrator runs, and it works',
  async (t) => {
    await using machine = await startStorageMachine();
    await using bakker = await installBakker();
    const name = machine.newName();
    const other = machine.newName();
    // so that sshd is there to refuse
    await machine.run(['provision', other]);
    const address = `ssh://${name}@127.0.0.1:${machine.port}/`;
    const refused = await bakker.run([
      'init',
      address,
      '--source',
      '/etc',
      '--host-key',
      machine.hostKeyFingerprint,
      '--yes',
    ]);
    t.equal(refused.status, 10, refused.stderr);
    const line = /^bakker-storage (provision .*)$/m.exec(refused.stderr)?.[1] ?? '';
    t.match(line, new RegExp(`^provision ${name} --key 'ssh-ed25519 [^']+' --size 10G$`));
    const key = /'([^']+)'/.exec(line)?.[1] ?? '';
    const made = await machine.run(['provision', name, '--key', key, '--size', '10G']);
    t.equal(made.status, 0, made.stderr);
    t.match(await readFile(join(machine.etc, 'keys', name), 'utf8'), key);
  },
);
