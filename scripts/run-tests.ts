/** Type-check, lint, format check and all tests; prints what fails, then `N passed, N failed`. Started by scripts/test. */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

/** Tests that take minutes each: full sizes of what the others show small. Only if they are asked for. */
const FULL_SIZE = 'test/full-size/';
/** What takes long, of a package too: many kinds of storage, limits to fill, many kills. Run each time, behind the everyday part. */
const THOROUGH = /(?:^|\/)test\/thorough\//;
/** Tests that boot an emulated machine; the image is built once. */
const MACHINE = 'test/vm/';
/** As much of them as there is time for each time: the last of the others takes a quarter of an hour. */
const SHORT_MACHINE = 'test/vm/one-night.test.ts';
/** Emulated processors are slow; for the others .taprc says it. */
const MACHINE_TIMEOUT_S = 7200;
/** Of a test file that a signal ended, or that gave up. */
const DEATH = /^ {2}(?:signal: \S+|exitCode: [1-9]\d*|reason: .*|failure: .*)$/;
const SUMMARY = /^# \{ (.*) \}$/;

interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const { values: flags, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean' }, everyday: { type: 'boolean' }, vm: { type: 'boolean' } },
});
const isWhole = patterns.length === 0 && flags.vm !== true;

const startedMs = Date.now();
const tallies: Tally[] = [];
const files = chooseFiles();
const machineFiles = files.filter((file) => file.startsWith(MACHINE));
const otherFiles = files.filter((file) => !file.startsWith(MACHINE));
// Before anything that takes long: where no machine can be emulated, that is a failure and no reason to leave it out.
const hasEmulator = machineFiles.length === 0 || (await hasTools());
if (isWhole) {
  // Lint takes as long as the two others: each has a processor.
  const linted = check('lint', ['node_modules/eslint/bin/eslint.js', '.']);
  tallies.push(await check('type-check', ['node_modules/typescript/bin/tsc', '-b']));
  tallies.push(
    await check('format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']),
  );
  tallies.push(await linted);
}
const everyday = otherFiles.filter(isEveryday);
const others = otherFiles.filter((file) => !isEveryday(file));
if (everyday.length > 0 || files.length === 0) tallies.push(await runTests(everyday));
if (isWhole) console.log(`the everyday part took ${secondsSoFar()} s`);
if (others.length > 0) tallies.push(await runTests(others));
// One after the other: each machine takes both processors and gigabytes of memory.
if (machineFiles.length > 0 && hasEmulator)
  tallies.push(await runTests(machineFiles, ['--jobs=1', `--timeout=${MACHINE_TIMEOUT_S}`]));
else if (machineFiles.length > 0) {
  for (const file of machineFiles)
    console.log(`FAILED  ${file}  the tools of the machine can't be installed (above)`);
  tallies.push({ passed: 0, failed: machineFiles.length, skipped: 0 });
}

const sum = (count: (tally: Tally) => number): number =>
  tallies.reduce((total, tally) => total + count(tally), 0);
const failed = sum((tally) => tally.failed);
const skipped = sum((tally) => tally.skipped);
console.log(`\ntook ${secondsSoFar()} s`);
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${sum((tally) => tally.passed)} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function secondsSoFar(): number {
  return Math.round((Date.now() - startedMs) / 1000);
}

function chooseFiles(): string[] {
  return globSync(['packages/*/test/**/*.test.ts', 'test/**/*.test.ts'], { exclude: ['**/node_modules/**'] })
    .filter((file) => flags.vm !== true || file.startsWith(MACHINE))
    .filter((file) => isAskedFor(file) || isEveryday(file) || (flags.everyday !== true && isEachTime(file)))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort();
}

function isEveryday(file: string): boolean {
  return !THOROUGH.test(file) && ![FULL_SIZE, MACHINE].some((folder) => file.startsWith(folder));
}

function isEachTime(file: string): boolean {
  return THOROUGH.test(file) || file === SHORT_MACHINE;
}

/** What takes long runs only by its name or its flag. */
function isAskedFor(file: string): boolean {
  return flags.all === true || patterns.length > 0 || (flags.vm === true && file.startsWith(MACHINE));
}

async function hasTools(): Promise<boolean> {
  return (await run(['scripts/setup', 'test', 'vm'], (line) => console.log(line), '/bin/sh')) === 0;
}

async function check(name: string, argv: string[]): Promise<Tally> {
  const status = await run(argv, (line) => console.log(line));
  console.log(`${status === 0 ? 'ok' : 'FAILED'}  ${name}`);
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 };
}

/** Shows one line for each file, and everything under one that fails. */
async function runTests(files: string[], tapOptions: readonly string[] = []): Promise<Tally> {
  if (files.length === 0) {
    console.log('FAILED  no test file matches');
    return { passed: 0, failed: 1, skipped: 0 };
  }
  let summary: string | undefined;
  let details: string[] = [];
  let hasFailed = false;
  const argv = ['node_modules/tap/dist/esm/run.mjs', '--reporter=tap', ...tapOptions, ...files];
  const status = await run(argv, (line) => {
    const total = SUMMARY.exec(line);
    const file = /^(not ok|ok) \d+ - (\S+\.test\.ts)(?: # (.*))?$/.exec(line);
    if (total) summary = total[1];
    // How a file itself ended comes behind its line.
    else if (!file && hasFailed && DEATH.test(line)) console.log(line);
    else if (!file) details.push(line);
    else {
      const [, verdict, path, note = ''] = file;
      hasFailed = verdict === 'not ok';
      if (verdict === 'not ok') for (const detail of failuresOnly(details)) console.log(detail);
      console.log(`${verdict === 'ok' ? 'ok' : 'FAILED'}  ${path ?? ''}  ${note.replace('time=', '')}`);
      details = [];
    }
  });
  const counts = new Map<string, number>();
  for (const [, name = '', count] of (summary ?? '').matchAll(/(\w+): (\d+)/g))
    counts.set(name, Number(count));
  const failures = (counts.get('fail') ?? 0) + (counts.get('todo') ?? 0);
  if (summary === undefined || (status !== 0 && failures === 0)) {
    for (const line of details) console.log(line);
    console.log(`FAILED  the test runner ended with status ${status}`);
  }
  return {
    passed: counts.get('pass') ?? 0,
    failed: Math.max(failures, status === 0 && summary !== undefined ? 0 : 1),
    skipped: counts.get('skip') ?? 0,
  };
}

/** Drops the lines of asserts that passed and the blank ones between them. */
function failuresOnly(lines: string[]): string[] {
  return lines.filter((line) => !/^\s*(ok \d+ .*|\d+\.\.\d+|# time=.*)?$/.test(line));
}

function run(
  argv: string[],
  onLine: (line: string) => void,
  program: string = process.execPath,
): Promise<number> {
  const child = spawn(program, argv, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BAKKER_TEST_ALL: flags.all === true ? '1' : '' },
  });
  createInterface({ input: child.stdout }).on('line', onLine);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? 1));
  });
}
