/**
 * Compares bakker with rsync --link-dest, restic and borg over a real OpenSSH on loopback. Started by scripts/bench;
 * docs/performance.md says what is measured and how to read it.
 */
import { writeFileSync } from 'node:fs';
import { cpus, freemem, release, tmpdir, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { runTool } from '../test/harness/processes.ts';
import { makeTempFolder } from '../test/harness/temp-folder.ts';
import type { Bench } from './bench.ts';
import { makeCpuGroup } from './cpu-group.ts';
import { Notes, progress } from './figures.ts';
import { LARGE_PARTS, runLarge } from './large-files.ts';
import { runMany } from './many-files.ts';
import type { BothEnds } from './measure.ts';
import { TOOL } from './names.ts';
import { render } from './report.ts';
import { runSmall, SMALL_PARTS } from './small-files.ts';
import { TOOLS } from './tools.ts';

const PARTS: readonly string[] = [...SMALL_PARTS, ...LARGE_PARTS, 'many'];
const GIB = 1024 ** 3;
const LEAST_FILES = 500;
const VERSIONS = {
  [TOOL.rsync]: ['rsync', '--version'],
  [TOOL.restic]: ['restic', 'version'],
  [TOOL.borg]: ['borg', '--version'],
} as const;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '100000' },
    'large-gib': { type: 'string', default: '4' },
    'many-files': { type: 'string', default: '1000000' },
    only: { type: 'string', multiple: true },
    skip: { type: 'string', multiple: true, default: [] },
    tool: { type: 'string', multiple: true },
    'peer-cipher': { type: 'string' },
    json: { type: 'string', default: `${tmpdir()}/bakker-bench.json` },
  },
});
const names = TOOLS.map(({ name }) => name);
const defaults = TOOLS.filter(({ isDefault }) => isDefault).map(({ name }) => name);
const only = readChoice('only', { given: flags.only, from: PARTS, otherwise: PARTS });
const skip = new Set(readChoice('skip', { given: flags.skip, from: PARTS, otherwise: [] }));
const largeGib = Number(flags['large-gib']);
if (!(largeGib > 0)) fail('--large-gib takes a number above 0');

await using temp = await makeTempFolder('bench');
using groups = new DisposableStack();
const notes = new Notes();
const bench: Bench = {
  notes,
  parts: new Set(only.filter((part) => !skip.has(part))),
  tools: readChoice('tool', { given: flags.tool, from: names, otherwise: defaults }),
  rounds: readCount('rounds', flags.rounds),
  files: readCount('files', flags.files),
  // a whole number of blocks in each of the three files
  largeBytes: Math.max(Math.round((largeGib * GIB) / 2 ** 20), 1) * 2 ** 20,
  manyFiles: readCount('many-files', flags['many-files']),
  work: temp.path,
  peerCipher: flags['peer-cipher'],
  ends: countBothEnds(),
};
const { rounds, files, largeBytes, manyFiles, peerCipher } = bench;
if (files < LEAST_FILES) fail(`--files takes ${LEAST_FILES} or more: each of ten groups has a folder then`);
const machine = await describeMachine();

const isAsked = (parts: readonly string[]): boolean => parts.some((part) => bench.parts.has(part));
await touchMemory();
for (let round = 1; round <= rounds; round += 1) {
  if (isAsked(SMALL_PARTS)) await runSmall(bench, round);
  if (isAsked(LARGE_PARTS)) await runLarge(bench, round);
}
if (isAsked(['many'])) await runMany(bench);

const settings = {
  rounds,
  files,
  largeBytes,
  manyFiles,
  peerCipher: peerCipher ?? 'as a bare ssh agrees on',
};
const results = { machine, settings, figures: notes.figures };
const { text, verdicts } = render(results);
console.log(`\n${describe(machine)}\n${describe(settings)}\n\n${text}`);
writeFileSync(flags.json, `${JSON.stringify({ ...results, verdicts }, undefined, 2)}\n`);
console.log(`\nfigures of every round: ${flags.json}`);

/** Processor time needs control groups; without them everything else is measured. */
function countBothEnds(): BothEnds | undefined {
  const client = makeCpuGroup('client');
  const storage = makeCpuGroup('storage');
  for (const group of [client, storage]) if (group !== undefined) groups.use(group);
  if (client !== undefined && storage !== undefined) return { client, storage };
  progress('no control groups can be made here: processor time is not measured');
  return undefined;
}

async function describeMachine(): Promise<Record<string, string | number>> {
  const versions: Record<string, string> = {};
  for (const [tool, [program, flag]] of Object.entries(VERSIONS)) {
    if (!bench.tools.includes(tool)) continue;
    versions[tool] = (await runTool(program, [flag])).split('\n')[0] ?? '';
  }
  return {
    processors: cpus().length,
    processor: cpus()[0]?.model ?? '',
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
    node: process.version,
    ...versions,
  };
}

function describe(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ');
}

/** On a virtual machine the first touch of memory is slow; whoever came first would pay for all. */
async function touchMemory(): Promise<void> {
  const usedBytes = Math.max(
    isAsked(LARGE_PARTS) ? 5 * largeBytes : 0,
    isAsked(SMALL_PARTS) ? 200_000 * files : 0,
    isAsked(['many']) ? 30_000 * manyFiles : 0,
  );
  const gib = Math.floor(Math.min(freemem() * 0.8, usedBytes) / GIB);
  if (gib === 0) return;
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

function readChoice(
  flag: string,
  {
    given,
    from,
    otherwise,
  }: { given: readonly string[] | undefined; from: readonly string[]; otherwise: readonly string[] },
): readonly string[] {
  const unknown = given?.filter((name) => !from.includes(name)) ?? [];
  if (unknown.length > 0) fail(`--${flag} takes ${from.join(' | ')}; not ${unknown.join(', ')}`);
  return given ?? otherwise;
}

function fail(message: string): never {
  console.error(`bench: ${message}`);
  process.exit(2);
}
