import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runTool } from '../test/harness/processes.ts';
import type { SshAccount } from '../test/harness/sshd.ts';
import type { Invocation } from './measure.ts';
import { TOOL } from './names.ts';
import { makeBorg, makeRestic, makeRsync } from './peers.ts';

const BAKKER = resolve(import.meta.dirname, '../packages/agent/bin/bakker');

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

export interface ToolKind {
  readonly name: string;
  /** What the account's key may start: anything, or only `bakker-storage shell`. */
  readonly account: 'any' | 'shell';
  /** Whether it is measured unless tools are named. */
  readonly isDefault: boolean;
  readonly make: (place: Place) => Tool;
}

export const TOOLS: readonly ToolKind[] = [
  bakker(TOOL.plain, { account: 'any', isSealed: false }),
  bakker(TOOL.shell, { account: 'shell', isSealed: false }),
  bakker(TOOL.sealed, { account: 'shell', isSealed: true }),
  { ...bakker(TOOL.plainSealed, { account: 'any', isSealed: true }), isDefault: false },
  { name: TOOL.rsync, account: 'any', isDefault: true, make: makeRsync },
  { name: TOOL.restic, account: 'any', isDefault: true, make: makeRestic },
  { name: TOOL.borg, account: 'any', isDefault: true, make: makeBorg },
];

function bakker(
  name: string,
  { account, isSealed }: { account: ToolKind['account']; isSealed: boolean },
): ToolKind {
  return { name, account, isDefault: true, make: (place) => makeBakker(place, { name, isSealed }) };
}

function makeBakker(place: Place, { name, isSealed }: { name: string; isSealed: boolean }): Tool {
  const configFile = `${place.work}/bakker.yaml`;
  const keyFile = `${place.work}/elsewhere.key`;
  const common = ['--config', configFile, '--state', `${place.work}/state`];
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
        ...(isSealed ? { encrypt: true } : {}),
      }),
    );
  return {
    name,
    async prepare(port) {
      await configure(port);
      if (!isSealed) return;
      const said = await runTool(BAKKER, ['key', 'generate', '--out', keyFile, ...common]);
      await runTool(BAKKER, [
        'key',
        'add',
        said.trim().split('\n').at(-1) ?? '',
        '--name',
        'bench',
        ...common,
      ]);
    },
    async backup(port) {
      await configure(port);
      return { argv: [BAKKER, 'backup', '--json', ...common] };
    },
    async restore(port, target) {
      await configure(port);
      const key = isSealed ? ['--identity-key', keyFile] : [];
      return {
        argv: [BAKKER, 'restore', '--from', 'latest', '--to', target, '--json', ...key, ...common],
      };
    },
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
