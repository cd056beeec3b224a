import { mkdir } from 'node:fs/promises';
import { runTool } from '../test/harness/processes.ts';
import type { Invocation } from './measure.ts';
import { TOOL } from './names.ts';
import type { Place, Tool } from './tools.ts';

export function makeRsync(place: Place): Tool {
  const { account } = place;
  let runs = 0;
  // Absolute: with a relative --link-dest some versions lose files that they send as a difference.
  const folderOf = (run: number): string => `${account.path}/${String(run).padStart(4, '0')}`;
  const copy = (port: number): string[] => ['rsync', '-aHAX', '-e', sshOf(place, port).join(' ')];
  const remote = `${account.user}@127.0.0.1`;
  return {
    name: TOOL.rsync,
    prepare: async () => undefined,
    async backup(port) {
      runs += 1;
      const parent = runs === 1 ? [] : [`--link-dest=${folderOf(runs - 1)}`];
      return { argv: [...copy(port), ...parent, `${place.source}/`, `${remote}:${folderOf(runs)}/`] };
    },
    async restore(port, target) {
      return { argv: [...copy(port), `${remote}:${folderOf(runs)}/`, `${target}/`] };
    },
  };
}

export function makeRestic(place: Place): Tool {
  const { account } = place;
  const remote = `${account.user}@127.0.0.1`;
  const env = { RESTIC_PASSWORD: 'benchmark', RESTIC_CACHE_DIR: `${place.work}/cache` };
  const restic = (port: number, ...args: string[]): Invocation => {
    const command = [...sshOf(place, port), remote, '-s', 'sftp'].join(' ');
    const repository = ['-r', `sftp:${remote}:${account.path}/repository`, '-o', `sftp.command=${command}`];
    return { argv: ['restic', '-q', ...repository, ...args], env };
  };
  return {
    name: TOOL.restic,
    prepare: (port) => runOnce(restic(port, 'init')),
    backup: async (port) => restic(port, 'backup', place.source),
    restore: async (port, target) => restic(port, 'restore', 'latest', '--target', target),
  };
}

/** Debian's borg is on both ends, as this machine is both. */
export function makeBorg(place: Place): Tool {
  const { account } = place;
  let runs = 0;
  const repositoryOf = (port: number): string =>
    `ssh://${account.user}@127.0.0.1:${port}${account.path}/repository`;
  const borg = (port: number, ...args: string[]): Invocation => ({
    argv: ['borg', ...args],
    env: {
      BORG_RSH: sshOf(place, port).join(' '),
      BORG_PASSPHRASE: 'benchmark',
      BORG_BASE_DIR: `${place.work}/borg`,
      // through a proxy the same repository has another address
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    },
  });
  return {
    name: TOOL.borg,
    prepare: (port) => runOnce(borg(port, 'init', '--encryption=repokey', repositoryOf(port))),
    async backup(port) {
      runs += 1;
      return borg(port, 'create', `${repositoryOf(port)}::${runs}`, place.source);
    },
    async restore(port, target) {
      await mkdir(target);
      return { ...borg(port, 'extract', '--numeric-ids', `${repositoryOf(port)}::${runs}`), cwd: target };
    },
  };
}

/** What one connection can carry file by file: no history, no comparison. */
export function tarOverSsh(place: Place, port: number): Invocation {
  return pipeOverSsh(place, port, { from: 'tar -C "$1" -cf - .', to: 'tar -C "$DIR" -xf -' });
}

/** What one connection can carry: no files, no history. */
export function catOverSsh(place: Place, port: number): Invocation {
  return pipeOverSsh(place, port, { from: 'cat "$1"/*', to: 'cat > "$DIR/all"' });
}

function pipeOverSsh(place: Place, port: number, { from, to }: { from: string; to: string }): Invocation {
  const ssh = [...sshOf(place, port), `${place.account.user}@127.0.0.1`].join(' ');
  const folder = `${place.account.path}/limit`;
  const script = `${from} | ${ssh} 'DIR=${folder}; mkdir -p "$DIR" && ${to}'`;
  return { argv: ['sh', '-c', script, 'sh', place.source] };
}

async function runOnce({ argv, env = {} }: Invocation): Promise<void> {
  await runTool('env', [...Object.entries(env).map(([key, value]) => `${key}=${value}`), ...argv]);
}

function sshOf({ account, work, peerCipher }: Place, port: number): string[] {
  const options = [
    `-oUserKnownHostsFile=${work}/known_hosts`,
    '-oBatchMode=yes',
    '-oStrictHostKeyChecking=yes',
  ];
  const cipher = peerCipher === undefined ? [] : ['-c', peerCipher];
  return ['ssh', '-F', '/dev/null', '-p', String(port), '-i', account.identityFile, ...options, ...cipher];
}
