import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runTool } from '../test/harness/processes.ts';
import type { SshAccount } from '../test/harness/sshd.ts';
import type { Invocation } from './measure.ts';

const BAKKER = resolve(import.meta.dirname, '../packages/agent/bin/bakker');

/** bakker over an account that `bakker-storage shell` serves, beside plain SFTP. */
export const SHELL = 'bakker, shell';

/** Where a tool keeps its backups: an account of its own on a file system of its own. */
export interface Place {
  readonly account: SshAccount;
  readonly hostKeyFingerprint: string;
  readonly knownHostsLine: string;
  /** For configuration, caches and passwords. */
  readonly work: string;
  readonly source: string;
  /** For ssh of the peers; by default what a bare ssh agrees on. */
  readonly peerCipher: string | undefined;
}

/** A way to back a folder up over SSH and to bring it back. `port` is that of sshd or of a proxy before it. */
export interface Tool {
  readonly name: string;
  prepare(port: number): Promise<void>;
  backup(port: number): Promise<Invocation>;
  /** Into an empty folder. */
  restore(port: number, target: string): Promise<Invocation>;
}

export const TOOLS: readonly {
  readonly name: string;
  readonly make: (place: Place, name: string) => Tool;
}[] = [
  { name: 'bakker', make: makeBakker },
  { name: SHELL, make: makeBakker },
  { name: 'rsync', make: makeRsync },
  { name: 'restic', make: makeRestic },
];

function makeBakker(place: Place, name: string): Tool {
  const configFile = `${place.work}/bakker.yaml`;
  const common = ['--config', configFile, '--state', `${place.work}/state`, '--json'];
  const configure = (port: number): Promise<void> =>
    writeFile(
      configFile,
      // JSON is YAML.
      JSON.stringify({
        account: `ssh://${place.account.user}@127.0.0.1:${port}${place.account.path}`,
        identity: place.account.identityFile,
        'host-key': place.hostKeyFingerprint,
        sources: [place.source],
        interval: 0,
      }),
    );
  return {
    name,
    prepare: configure,
    async backup(port) {
      await configure(port);
      return { argv: [BAKKER, 'backup', ...common] };
    },
    async restore(port, target) {
      await configure(port);
      return { argv: [BAKKER, 'restore', '--from', 'latest', '--to', target, ...common] };
    },
  };
}

function makeRsync(place: Place): Tool {
  const { account } = place;
  let runs = 0;
  // Absolute: with a relative --link-dest some versions lose files that they send as a difference.
  const folderOf = (run: number): string => `${account.path}/${String(run).padStart(4, '0')}`;
  const copy = (port: number): string[] => ['rsync', '-aHAX', '-e', sshOf(place, port).join(' ')];
  const remote = `${account.user}@127.0.0.1`;
  return {
    name: 'rsync',
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

function makeRestic(place: Place): Tool {
  const { account } = place;
  const remote = `${account.user}@127.0.0.1`;
  const env = { RESTIC_PASSWORD: 'benchmark', RESTIC_CACHE_DIR: `${place.work}/cache` };
  const restic = (port: number, ...args: string[]): Invocation => {
    const command = [...sshOf(place, port), remote, '-s', 'sftp'].join(' ');
    const repository = ['-r', `sftp:${remote}:${account.path}/repository`, '-o', `sftp.command=${command}`];
    return { argv: ['restic', '-q', ...repository, ...args], env };
  };
  return {
    name: 'restic',
    async prepare(port) {
      const { argv } = restic(port, 'init');
      await runTool('env', [...Object.entries(env).map(([key, value]) => `${key}=${value}`), ...argv]);
    },
    backup: async (port) => restic(port, 'backup', place.source),
    restore: async (port, target) => restic(port, 'restore', 'latest', '--target', target),
  };
}

/** The limit of what one connection can carry file by file: no history, no comparison. */
export function tarOverSsh(place: Place, port: number): Invocation {
  const far = `${place.account.user}@127.0.0.1`;
  const ssh = sshOf(place, port).join(' ');
  return {
    argv: [
      'sh',
      '-c',
      `tar -C "$1" -cf - . | ${ssh} ${far} "mkdir -p ${place.account.path}/tar && tar -C ${place.account.path}/tar -xf -"`,
      'sh',
      place.source,
    ],
  };
}

/** Known hosts in a file of their own: nothing of the user's is touched. */
export async function writeKnownHosts(place: Place, ports: readonly number[]): Promise<void> {
  await mkdir(place.work, { recursive: true });
  const key = place.knownHostsLine.slice(place.knownHostsLine.indexOf(' '));
  await writeFile(`${place.work}/known_hosts`, ports.map((port) => `[127.0.0.1]:${port}${key}\n`).join(''));
}

/** Whether a restore brought back as many files as there were; that they are right is what the tests show. */
export async function isRestored(target: string, expectedFiles: number): Promise<boolean> {
  const names = await readdir(target, { recursive: true, withFileTypes: true });
  return names.filter((name) => name.isFile()).length === expectedFiles;
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
