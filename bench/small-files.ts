import { readdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { runTool } from '../test/harness/processes.ts';
import { startProxy } from '../test/harness/proxy.ts';
import { BAKKER_STORAGE } from '../test/harness/shell-account.ts';
import { inTurn, standOf, type Bench } from './bench.ts';
import { progress } from './figures.ts';
import { changeOnePercent, renameTenth, writeSmallFiles } from './loads.ts';
import { measure } from './measure.ts';
import { TOOL, type LoadName } from './names.ts';
import { tarOverSsh } from './peers.ts';
import { makeDisk, makeFolder, warm, type Stand } from './stand.ts';
import { isRestored, writeKnownHosts } from './tools.ts';

export const SMALL_PARTS = ['small', 'limits', 'wire', 'distance', 'delete'] as const;
const KEEP_ONLY_ONE = 'retention: { days: 0, instances: 1, months: 0, years: 0 }\ntrash: { keep-hours: 0 }\n';
/** Half of the round trip of 20 ms. */
const DELAY_MS = 10;
const SOURCE_BYTES_A_FILE = 40_000;
const STORAGE_BYTES_A_FILE = 60_000;

/** All small-file loads of one round; the tools take turns at each of them. */
export async function runSmall(bench: Bench, round: number): Promise<void> {
  const { files, notes, parts } = bench;
  await using disk = await makeDisk(files * SOURCE_BYTES_A_FILE);
  const source = await makeFolder(disk.folder, 'source');
  progress(`round ${round}: writing ${files} small files`);
  const load = writeSmallFiles(source, files);
  await using stack = new AsyncDisposableStack();
  const stands: Stand[] = [];
  for (const toolName of inTurn(bench.tools, round)) {
    const diskBytes = files * STORAGE_BYTES_A_FILE;
    stands.push(stack.use(await standOf(bench, { toolName, source, diskBytes })));
  }
  const backUpAll = async (name: LoadName): Promise<void> => {
    for (const stand of stands) {
      await warm(source);
      notes.measured(name, stand.tool.name, await stand.measure(await stand.tool.backup(stand.port)));
    }
  };
  await backUpAll('first run');
  await backUpAll('nothing changed');
  if (parts.has('small')) {
    changeOnePercent(load, round);
    await backUpAll('1 % changed');
    renameTenth(load, 0);
    await backUpAll('10 % renamed');
    for (const stand of stands) await restoreAll(bench, stand);
  }
  if (parts.has('distance')) await runDistance(bench, stands, source);
  if (parts.has('wire') && round === bench.rounds) {
    renameTenth(load, parts.has('small') ? 1 : 0);
    for (const name of ['10 % renamed', 'nothing changed'] as const)
      for (const stand of stands) await countWire(bench, stand, name);
  }
  if (parts.has('delete')) {
    for (const stand of stands) if (stand.tool.name === TOOL.shell) await runDelete(bench, stand);
  }
  if (parts.has('limits')) await runLimits(bench, disk.folder, source);
}

async function restoreAll({ files, notes }: Bench, { tool, place, port, measure }: Stand): Promise<void> {
  await using target = await makeDisk(files * SOURCE_BYTES_A_FILE);
  await warm(place.account.folder);
  const invocation = await tool.restore(port, `${target.folder}/restored`);
  notes.measured('full restore', tool.name, await measure(invocation));
  if (!(await isRestored(target.folder, files)))
    throw new Error(`${tool.name} did not restore ${files} files`);
}

/** Counted in a pass of its own: the proxy would slow what is timed. */
async function countWire(
  { notes }: Bench,
  { tool, place, port, measure }: Stand,
  load: LoadName,
): Promise<void> {
  await using proxy = await startProxy({ targetPort: port });
  await writeKnownHosts(place, [port, proxy.port]);
  await measure(await tool.backup(proxy.port));
  const both = proxy.sentBytes() + proxy.receivedBytes();
  notes.add({ quantity: 'wireBytes', load, tool: tool.name }, both);
  progress(`${load}, on the wire: ${tool.name} ${both} bytes`);
}

/** Nothing changed, over a long line and, to compare, over the same proxy without the delay. */
async function runDistance({ notes }: Bench, stands: readonly Stand[], source: string): Promise<void> {
  for (const { tool, place, port, measure } of stands) {
    for (const [load, delayMs] of [
      ['near', 0],
      ['distant', DELAY_MS],
    ] as const) {
      await using proxy = await startProxy({ targetPort: port, delayMs });
      await writeKnownHosts(place, [port, proxy.port]);
      await warm(source);
      notes.measured(load, tool.name, await measure(await tool.backup(proxy.port)));
    }
  }
}

async function runLimits(bench: Bench, disk: string, source: string): Promise<void> {
  const links = await measure({ argv: ['cp', '-al', source, `${disk}/linked`] }, undefined);
  bench.notes.measured('limits', TOOL.links, links);
  const diskBytes = bench.files * STORAGE_BYTES_A_FILE;
  await using stand = await standOf(bench, { toolName: TOOL.rsync, source, diskBytes });
  bench.notes.measured('limits', TOOL.tar, await stand.measure(tarOverSsh(stand.place, stand.port)));
}

/** One run of many files that others link too, by the storage's retention; beside it rm -rf of its like. */
async function runDelete({ notes }: Bench, { place }: Stand): Promise<void> {
  const { folder } = place.account;
  const [oldest = ''] = (await readdir(folder)).filter((name) => /^\d{4}_\d{2}_\d{2}_\d+$/.test(name)).sort();
  await runTool('cp', ['-al', `${folder}/${oldest}`, `${folder}/../linked`]);
  await writeFile(`${folder}/.bakker/account.yaml`, KEEP_ONLY_ONE);
  const keptAway = (await readdir(folder))
    .filter((name) => name > oldest && /^\d.*\d$/.test(name))
    .slice(0, -1);
  for (const run of keptAway) await rename(`${folder}/${run}`, `${folder}/../${run}`);
  const options = ['--root', dirname(folder), '--account', basename(folder)];
  const own = await measure({ argv: [BAKKER_STORAGE, 'retention', ...options] }, undefined);
  if ((await readdir(folder)).includes(oldest)) throw new Error(`retention kept ${oldest}`);
  notes.measured('delete', TOOL.storage, own);
  const peer = await measure({ argv: ['rm', '-rf', `${folder}/../linked`] }, undefined);
  notes.measured('delete', TOOL.rm, peer);
}
