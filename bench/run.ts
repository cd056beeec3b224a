/**
 * Compares bakker with rsync --link-dest and restic over a real OpenSSH on loopback. Started by scripts/bench;
 * docs/performance.md says what is measured and how to read it.
 */
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { runTool } from '../test/harness/processes.ts';
import { BAKKER_STORAGE } from '../test/harness/shell-account.ts';
import { startProxy } from '../test/harness/proxy.ts';
import { makeTempFolder } from '../test/harness/temp-folder.ts';
import { changeOnePercent, renameTenth, writeLargeFiles, writeSmallFiles, writeTinyFiles } from './loads.ts';
import { render, type Results, type Row } from './report.ts';
import { makeDisk, makeStand, time, type Stand } from './stand.ts';
import { isRestored, SHELL, tarOverSsh, TOOLS, writeKnownHosts } from './tools.ts';

const PARTS = ['small', 'limits', 'wire', 'distance', 'delete', 'large', 'memory'] as const;
const GIB = 1024 ** 3;
const KEEP_ONLY_ONE = 'retention: { days: 0, instances: 1, months: 0, years: 0 }\ntrash: { keep-hours: 0 }\n';
/** Half of the round trip of 20 ms. */
const DELAY_MS = 10;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '100000' },
    'large-bytes': { type: 'string', default: String(4 * GIB) },
    'memory-files': { type: 'string', default: '1000000' },
    only: { type: 'string', multiple: true },
    tool: { type: 'string', multiple: true },
    'peer-cipher': { type: 'string' },
    json: { type: 'string', default: `${tmpdir()}/bakker-bench.json` },
  },
});
const rounds = readCount('rounds', flags.rounds);
const files = readCount('files', flags.files);
const largeBytes = readCount('large-bytes', flags['large-bytes']);
const parts = new Set(flags.only ?? PARTS);
const toolNames = flags.tool ?? TOOLS.map(({ name }) => name);
const unknown = [...parts].filter((part) => !PARTS.some((known) => known === part));
if (unknown.length > 0) fail(`--only takes ${PARTS.join(', ')}; not ${unknown.join(', ')}`);

const results: Results = {
  machine: {
    processors: cpus().length,
    processor: cpus()[0]?.model ?? '',
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
    rsync: (await runTool('rsync', ['--version'])).split('\n')[0] ?? '',
    restic: (await runTool('restic', ['version'])).split('\n')[0] ?? '',
    node: process.version,
  },
  settings: { rounds, files, largeBytes, peerCipher: flags['peer-cipher'] ?? 'as a bare ssh agrees on' },
  seconds: {},
  limits: {},
  wireBytes: {},
  unchangedWireBytes: {},
  distantSeconds: {},
  deleteSeconds: {},
  nearSeconds: {},
  memoryBytes: {},
};

await using temp = await makeTempFolder('bench');
await touchMemory();
if (['small', 'limits', 'wire', 'distance', 'delete'].some((part) => parts.has(part))) {
  for (let round = 1; round <= rounds; round += 1) await runSmall(round);
}
if (parts.has('large')) for (let round = 1; round <= rounds; round += 1) await runLarge(round);
if (parts.has('memory')) await runMemory();

const { text, verdicts } = render(results);
console.log(`\n${text}`);
writeFileSync(flags.json, `${JSON.stringify({ ...results, verdicts }, undefined, 2)}\n`);
console.log(`\nfigures of every round: ${flags.json}`);

/** All small-file loads of one round; the tools take turns at each of them, and who begins changes with the round. */
async function runSmall(round: number): Promise<void> {
  await using disk = await makeDisk(files * 40_000);
  const source = `${disk.folder}/source`;
  await mkdir(source);
  progress(`round ${round}: writing ${files} small files`);
  const load = writeSmallFiles(source, files);
  await warm(source);
  await using stack = new AsyncDisposableStack();
  const stands: Stand[] = [];
  for (const toolName of inTurn(toolNames, round))
    stands.push(stack.use(await makeStand(standFor(toolName, { source, round }))));

  const backUpAll = async (row: Row): Promise<void> => {
    for (const { tool, port } of stands) note(row, tool.name, await time(await tool.backup(port)));
  };
  await backUpAll('first run');
  await backUpAll('nothing changed');
  if (parts.has('small')) {
    changeOnePercent(load, round);
    await backUpAll('1 % changed');
    renameTenth(load, 0);
    await backUpAll('10 % renamed');
    for (const { tool, port } of stands) {
      await using target = await makeDisk(files * 40_000);
      note('full restore', tool.name, await time(await tool.restore(port, `${target.folder}/restored`)));
      if (!(await isRestored(target.folder, files)))
        throw new Error(`${tool.name} did not restore ${files} files`);
    }
  }
  if (parts.has('distance')) await runDistance(stands);
  if (parts.has('wire') && round === rounds) {
    renameTenth(load, parts.has('small') ? 1 : 0);
    for (const stand of stands) await countWire(stand, results.wireBytes);
    for (const stand of stands) await countWire(stand, results.unchangedWireBytes);
  }
  if (parts.has('delete')) {
    for (const stand of stands) if (stand.tool.name === SHELL) await runDelete(stand);
  }
  if (parts.has('limits')) await runLimits({ disk: disk.folder, source, round });
}

/** Counted in a pass of its own: the proxy would slow what is timed. */
async function countWire({ tool, place, port }: Stand, into: Results['wireBytes']): Promise<void> {
  await using proxy = await startProxy({ targetPort: port });
  await writeKnownHosts(place, [port, proxy.port]);
  await time(await tool.backup(proxy.port));
  into[tool.name] = { sent: proxy.sentBytes(), received: proxy.receivedBytes() };
}

/** Nothing changed, over a long line and, to compare, over the same proxy without the delay. */
async function runDistance(stands: readonly Stand[]): Promise<void> {
  for (const { tool, place, port } of stands) {
    for (const [delayMs, into] of [
      [0, results.nearSeconds],
      [DELAY_MS, results.distantSeconds],
    ] as const) {
      await using proxy = await startProxy({ targetPort: port, delayMs });
      await writeKnownHosts(place, [port, proxy.port]);
      const { seconds } = await time(await tool.backup(proxy.port));
      (into[tool.name] ??= []).push(seconds);
      progress(`${tool.name}: nothing changed, round trip of ${2 * delayMs} ms: ${seconds.toFixed(2)} s`);
    }
  }
}

async function runLimits({
  disk,
  source,
  round,
}: {
  disk: string;
  source: string;
  round: number;
}): Promise<void> {
  const links = await time({ argv: ['cp', '-al', source, `${disk}/linked`] });
  (results.limits['cp -al'] ??= []).push(links.seconds);
  await using stand = await makeStand(standFor('rsync', { source, round }));
  const tar = await time(tarOverSsh(stand.place, stand.port));
  (results.limits['tar | ssh tar'] ??= []).push(tar.seconds);
}

/** One run of 100,000 files that others link too, by the storage's retention; beside it rm -rf of its like. */
async function runDelete({ place }: Stand): Promise<void> {
  const { folder } = place.account;
  const [oldest = ''] = (await readdir(folder)).filter((name) => /^\d{4}_\d{2}_\d{2}_\d+$/.test(name)).sort();
  await runTool('cp', ['-al', `${folder}/${oldest}`, `${folder}/../linked`]);
  await writeFile(`${folder}/.bakker/account.yaml`, KEEP_ONLY_ONE);
  const keptAway = (await readdir(folder))
    .filter((name) => name > oldest && /^\d.*\d$/.test(name))
    .slice(0, -1);
  for (const run of keptAway) await rename(`${folder}/${run}`, `${folder}/../${run}`);
  const options = ['--root', dirname(folder), '--account', basename(folder)];
  const own = await time({ argv: [BAKKER_STORAGE, 'retention', ...options] });
  if ((await readdir(folder)).includes(oldest)) throw new Error(`retention kept ${oldest}`);
  const peer = await time({ argv: ['rm', '-rf', `${folder}/../linked`] });
  (results.deleteSeconds['bakker-storage'] ??= []).push(own.seconds);
  (results.deleteSeconds['rm -rf'] ??= []).push(peer.seconds);
  progress(`delete a run: bakker-storage ${own.seconds.toFixed(2)} s, rm -rf ${peer.seconds.toFixed(2)} s`);
}

async function runLarge(round: number): Promise<void> {
  await using disk = await makeDisk(Math.ceil(largeBytes * 1.2));
  const source = `${disk.folder}/source`;
  await mkdir(source);
  progress(`round ${round}: writing ${(largeBytes / GIB).toFixed(1)} GiB of large files`);
  writeLargeFiles(source, largeBytes);
  await warm(source);
  for (const toolName of inTurn(toolNames, round)) {
    await using stand = await makeStand({
      ...standFor(toolName, { source, round }),
      diskBytes: Math.ceil(largeBytes * 1.2),
    });
    note('large files, first run', toolName, await time(await stand.tool.backup(stand.port)));
  }
}

/** What bakker needs at two sizes of the same kind of tree. */
async function runMemory(): Promise<void> {
  const most = readCount('memory-files', flags['memory-files']);
  for (const count of [most / 10, most]) {
    await using disk = await makeDisk(count * 20_000);
    const source = `${disk.folder}/source`;
    await mkdir(source);
    progress(`memory: writing ${count} tiny files`);
    writeTinyFiles(source, count);
    await using stand = await makeStand({
      ...standFor('bakker', { source, round: 0 }),
      diskBytes: count * 20_000,
    });
    const at = `${count.toLocaleString('en')} files`;
    for (const what of ['first run', 'nothing changed']) {
      const { peakBytes, seconds } = await time(await stand.tool.backup(stand.port));
      results.memoryBytes[`${what}, ${at}`] = peakBytes;
      progress(`${what}, ${at}: ${(peakBytes / 2 ** 20).toFixed(0)} MiB, ${seconds.toFixed(1)} s`);
    }
    await using target = await makeDisk(count * 20_000);
    const restored = await time(await stand.tool.restore(stand.port, `${target.folder}/restored`));
    results.memoryBytes[`restore, ${at}`] = restored.peakBytes;
    progress(
      `restore, ${at}: ${(restored.peakBytes / 2 ** 20).toFixed(0)} MiB, ${restored.seconds.toFixed(1)} s`,
    );
  }
}

function standFor(
  toolName: string,
  { source, round }: { source: string; round: number },
): Parameters<typeof makeStand>[0] {
  const work = `${temp.path}/${toolName}-${round}-${Math.random().toString(36).slice(2)}`;
  return { toolName, source, work, diskBytes: files * 60_000, peerCipher: flags['peer-cipher'] };
}

function note(row: Row, tool: string, { seconds, peakBytes }: { seconds: number; peakBytes: number }): void {
  ((results.seconds[row] ??= {})[tool] ??= []).push(seconds);
  progress(`${row}: ${tool} ${seconds.toFixed(2)} s, ${(peakBytes / 2 ** 20).toFixed(0)} MiB`);
}

function inTurn(names: readonly string[], round: number): string[] {
  const first = round % names.length;
  return [...names.slice(first), ...names.slice(0, first)];
}

/** Reads everything once: what is compared is work, not a disk's caches. */
async function warm(folder: string): Promise<void> {
  await runTool('sync', []);
  await runTool('sh', ['-c', 'find "$1" -type f -print0 | xargs -0 cat > /dev/null', 'sh', folder]);
}

/** On a virtual machine the first touch of memory is slow; whoever came first would pay for all. */
async function touchMemory(): Promise<void> {
  const gib = Math.floor((totalmem() / GIB) * 0.6);
  progress(`touching ${gib} GiB of memory`);
  await runTool(process.execPath, [
    '-e',
    `for (let i = 0, kept = []; i < ${gib}; i++) kept.push(Buffer.alloc(2 ** 30, 1))`,
  ]);
}

function readCount(name: string, text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) fail(`--${name} takes a whole number`);
  return count;
}

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}

function progress(text: string): void {
  console.error(text);
}
