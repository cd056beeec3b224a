import { mkdir } from 'node:fs/promises';
import { mountLoopFilesystem, type LoopFilesystem } from '../test/harness/loop-fs.ts';
import { runTool } from '../test/harness/processes.ts';
import { addShellAccount } from '../test/harness/shell-account.ts';
import { startSshd } from '../test/harness/sshd.ts';
import { measure, type Invocation, type Measured } from './measure.ts';
import { SHELL, TOOLS, writeKnownHosts, type Place, type Tool } from './tools.ts';

const GIB = 1024 ** 3;

/** A tool with a fresh storage of its own. */
export interface Stand extends AsyncDisposable {
  readonly tool: Tool;
  readonly place: Place;
  readonly port: number;
}

export interface StandOptions {
  readonly toolName: string;
  readonly source: string;
  readonly work: string;
  readonly diskBytes: number;
  readonly peerCipher: string | undefined;
}

/** Makes a new ext4 and a new sshd for one tool: what was deleted or cached by another one does not count. */
export async function makeStand(options: StandOptions): Promise<Stand> {
  await using made = new AsyncDisposableStack();
  const disk = made.use(await makeDisk(options.diskBytes));
  const server = made.use(await startSshd({ accountsFolder: disk.folder }));
  const isShell = options.toolName === SHELL;
  const account = isShell ? await addShellAccount(server) : await server.addAccount();
  const { source, work, peerCipher } = options;
  const { hostKeyFingerprint, knownHostsLine } = server;
  const place: Place = { account, hostKeyFingerprint, knownHostsLine, source, work, peerCipher };
  await mkdir(work, { recursive: true });
  await writeKnownHosts(place, [server.port]);
  const make = TOOLS.find(({ name }) => name === options.toolName)?.make;
  if (make === undefined) throw new Error(`no tool is called ${options.toolName}`);
  const tool = make(place, options.toolName);
  await tool.prepare(server.port);
  const kept = made.move();
  return { tool, place, port: server.port, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A fresh ext4; sparse, so that it costs what is written to it. */
export function makeDisk(sizeBytes: number): Promise<LoopFilesystem> {
  return mountLoopFilesystem({ type: 'ext4', sizeBytes: Math.max(sizeBytes, GIB) });
}

/** Times a command after everything written before has reached the disk, so that none pays for another. */
export async function time(invocation: Invocation): Promise<Measured> {
  await runTool('sync', []);
  return measure(invocation);
}
