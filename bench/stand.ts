import { mkdir } from 'node:fs/promises';
import { mountLoopFilesystem, type LoopFilesystem } from '../test/harness/loop-fs.ts';
import { runTool } from '../test/harness/processes.ts';
import { addShellAccount } from '../test/harness/shell-account.ts';
import { startSshd } from '../test/harness/sshd.ts';
import { measure, type BothEnds, type Invocation, type Measured } from './measure.ts';
import { TOOLS, writeKnownHosts, type Place, type Tool } from './tools.ts';

const GIB = 1024 ** 3;

/** A tool with a fresh storage of its own. */
export interface Stand extends AsyncDisposable {
  readonly tool: Tool;
  readonly place: Place;
  readonly port: number;
  readonly measure: (invocation: Invocation) => Promise<Measured>;
}

export interface StandOptions {
  readonly toolName: string;
  readonly source: string;
  readonly work: string;
  readonly diskBytes: number;
  readonly diskType?: DiskType;
  readonly peerCipher: string | undefined;
  readonly ends: BothEnds | undefined;
}

/** `xfs` shares blocks. */
export type DiskType = 'ext4' | 'xfs';

/** Makes a new file system and a new sshd for one tool: what was deleted or cached by another one does not count. */
export async function makeStand(options: StandOptions): Promise<Stand> {
  await using made = new AsyncDisposableStack();
  const kind = TOOLS.find(({ name }) => name === options.toolName);
  if (kind === undefined) throw new Error(`no tool is called ${options.toolName}`);
  const disk = made.use(await makeDisk(options.diskBytes, options.diskType));
  const server = made.use(await startSshd({ accountsFolder: disk.folder }));
  if (server.pid !== undefined) options.ends?.storage.join(server.pid);
  const account = kind.account === 'shell' ? await addShellAccount(server) : await server.addAccount();
  const { source, work, peerCipher, ends } = options;
  const { hostKeyFingerprint, knownHostsLine } = server;
  const place: Place = { account, hostKeyFingerprint, knownHostsLine, source, work, peerCipher };
  await writeKnownHosts(place, [server.port]);
  const tool = kind.make(place);
  await tool.prepare(server.port);
  const kept = made.move();
  return {
    tool,
    place,
    port: server.port,
    measure: (invocation) => measure(invocation, ends),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A fresh file system; sparse, so that it costs what is written to it. */
export async function makeDisk(sizeBytes: number, type: DiskType = 'ext4'): Promise<LoopFilesystem> {
  const mkfsArgs = type === 'xfs' ? ['-m', 'reflink=1'] : [];
  return mountLoopFilesystem({ type, sizeBytes: Math.max(sizeBytes, GIB), mkfsArgs });
}

/**
 * Reads everything once: what is compared is work, not a disk's caches. Done before each measurement, as borg evicts what
 * it read from them.
 */
export async function warm(...folders: readonly string[]): Promise<void> {
  await runTool('sync', []);
  await runTool('sh', ['-c', 'find "$@" -type f -print0 | xargs -0 cat > /dev/null', 'sh', ...folders]);
}

export async function makeFolder(parent: string, name: string): Promise<string> {
  await mkdir(`${parent}/${name}`);
  return `${parent}/${name}`;
}
