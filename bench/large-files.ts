import { stat, statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { runTool } from '../test/harness/processes.ts';
import { startProxy } from '../test/harness/proxy.ts';
import { inTurn, standOf, type Bench } from './bench.ts';
import { progress } from './figures.ts';
import { changeLargeFiles, writeLargeFiles, type LargeFiles } from './loads.ts';
import { TOOL, type LoadName } from './names.ts';
import { catOverSsh } from './peers.ts';
import { makeDisk, makeFolder, warm, type DiskType, type Stand } from './stand.ts';
import { writeKnownHosts } from './tools.ts';

export const LARGE_PARTS = ['large', 'changed'] as const;
const FIRST_RUN = 'large files, first run';
const CHANGED: Readonly<Record<DiskType, LoadName>> = { ext4: 'changed, ext4', xfs: 'changed, reflink' };
/** Who can gain by blocks that are shared, and whom they are compared with. */
const ON_REFLINK: readonly string[] = [TOOL.plain, TOOL.shell, TOOL.sealed, TOOL.rsync, TOOL.restic];
const ALLOWED_SENT_RATIO = 1.15;
const ALLOWED_A_FILE_BYTES = 64 * 1024;
const ALLOWED_ON_DISK_BYTES = 1024 * 1024;
/** A tool that copies a changed file as a whole stores the source three times (as it was, changed, changed again to count), and some around it. */
const STORAGE_RATIO = 3.3;
/** What changed in the two seconds before it is read is read once more by the next run. */
const SETTLED_MS = 2_100;

/** Large files of one round: one tool after another, since each takes as much disk as all of the source twice. */
export async function runLarge(bench: Bench, round: number): Promise<void> {
  const { largeBytes, parts } = bench;
  await using disk = await makeDisk(Math.ceil(largeBytes * 1.2));
  const source = await makeFolder(disk.folder, 'source');
  progress(`round ${round}: writing ${(largeBytes / 1024 ** 3).toFixed(2)} GiB of large files`);
  const load = writeLargeFiles(source, largeBytes);
  for (const toolName of inTurn(bench.tools, round))
    await runOn(bench, { toolName, round, load, on: 'ext4' });
  if (parts.has('changed')) {
    const tools = bench.tools.filter((name) => ON_REFLINK.includes(name));
    for (const toolName of inTurn(tools, round)) await runOn(bench, { toolName, round, load, on: 'xfs' });
  }
  if (parts.has('large')) await runLimit(bench, source);
}

interface LargeRun {
  readonly toolName: string;
  readonly round: number;
  readonly load: LargeFiles;
  readonly on: DiskType;
}

async function runOn(bench: Bench, { toolName, round, load, on }: LargeRun): Promise<void> {
  const { notes, largeBytes, parts } = bench;
  const source = load.folder;
  const diskBytes = Math.ceil(largeBytes * STORAGE_RATIO);
  await using stand = await standOf(bench, { toolName, source, diskBytes, diskType: on });
  const { tool, place, port, measure } = stand;
  await warm(source);
  await untilSettled(load);
  const first = await measure(await tool.backup(port));
  if (on === 'ext4' && parts.has('large')) notes.measured(FIRST_RUN, toolName, first);
  if (!parts.has('changed')) return;

  const changed = changeLargeFiles(load, round);
  await warm(source);
  await untilSettled(load);
  const usedBefore = await usedBytes(place.account.folder);
  notes.measured(CHANGED[on], toolName, await measure(await tool.backup(port)));
  const addedBytes = (await usedBytes(place.account.folder)) - usedBefore;
  notes.add({ quantity: 'addedBytes', load: CHANGED[on], tool: toolName }, addedBytes);
  progress(`${CHANGED[on]}: ${toolName} added ${addedBytes} bytes`);
  noteAllowed(bench, { load, on, changedBytes: changed.changedBytes });
  if (round === bench.rounds) {
    const again = changeLargeFiles(load, round + 1000);
    await untilSettled(load);
    await countSent(bench, stand, CHANGED[on]);
    again.undo();
  }
  changed.undo();
}

function noteAllowed(
  { notes }: Bench,
  { load, on, changedBytes }: { load: LargeFiles; on: DiskType; changedBytes: number },
): void {
  const allowed = ALLOWED_SENT_RATIO * changedBytes + ALLOWED_A_FILE_BYTES * load.names.length;
  const at = { load: CHANGED[on], tool: TOOL.allowed };
  notes.add({ ...at, quantity: 'sentBytes' }, allowed);
  notes.add({ ...at, quantity: 'addedBytes' }, allowed + ALLOWED_ON_DISK_BYTES);
}

/** In a pass of its own, after another change of the same size: the proxy would slow what is timed. */
async function countSent(
  { notes }: Bench,
  { tool, place, port, measure }: Stand,
  load: LoadName,
): Promise<void> {
  await using proxy = await startProxy({ targetPort: port });
  await writeKnownHosts(place, [port, proxy.port]);
  await measure(await tool.backup(proxy.port));
  notes.add({ quantity: 'sentBytes', load, tool: tool.name }, proxy.sentBytes());
  progress(`${load}: ${tool.name} sent ${proxy.sentBytes()} bytes`);
}

async function runLimit(bench: Bench, source: string): Promise<void> {
  const diskBytes = Math.ceil(bench.largeBytes * 1.2);
  await using stand = await standOf(bench, { toolName: TOOL.rsync, source, diskBytes });
  await warm(source);
  bench.notes.measured(FIRST_RUN, TOOL.cat, await stand.measure(catOverSsh(stand.place, stand.port)));
}

async function untilSettled({ folder, names }: LargeFiles): Promise<void> {
  const times = await Promise.all(names.map(async (name) => (await stat(`${folder}/${name}`)).ctimeMs));
  await delay(Math.max(0, Math.max(...times) + SETTLED_MS - Date.now()));
}

async function usedBytes(folder: string): Promise<number> {
  await runTool('sync', []);
  const { blocks, bfree, bsize } = await statfs(folder);
  return (blocks - bfree) * bsize;
}
