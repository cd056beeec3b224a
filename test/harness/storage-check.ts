import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { fingerprintTree } from './compare-trees.ts';

const RUN = /^\d{4}_\d{2}_\d{2}_\d{2,}$/;
const KNOWN = /^(latest|\.bakker|\d{4}_\d{2}_\d{2}_\d{2,}(\.impl|\.incomplete|\.diff)?)$/;

/** Names of the complete runs in a storage folder, oldest first. */
export function completeRuns(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => RUN.test(name))
    .sort();
}

/**
 * Looks at an account's folder from outside: every name without a suffix is a run with a manifest that is whole, and
 * `latest` points at the newest.
 *
 * @param linesOf - reads a manifest, where zstd alone can't
 * @returns what is wrong, one sentence each
 */
export function findBrokenPromises(
  folder: string,
  linesOf: (file: string) => Record<string, unknown>[] = readManifest,
): string[] {
  const broken: string[] = [];
  // Read before the runs: a shell session outlives a killed client for a moment, and may publish between the two.
  const latest = readLatest(folder);
  for (const name of readdirSync(folder))
    if (!KNOWN.test(name)) broken.push(`${name} is no name that belongs here`);
  const runs = completeRuns(folder);
  for (const run of runs) {
    if (!lstatSync(`${folder}/${run}`).isDirectory()) broken.push(`${run} is no folder`);
    if (!existsSync(`${folder}/${run}.impl`)) broken.push(`${run} has no manifest`);
    else broken.push(...findManifestFaults(linesOf, `${folder}/${run}.impl`, run));
  }
  if (runs.length > 0 && latest === undefined) broken.push('there are runs, but no latest');
  if (latest !== undefined && !runs.includes(latest))
    broken.push(`latest points at ${latest}, which is no complete run`);
  return broken;
}

/** What `latest` points at; undefined if it is not there. */
export function readLatest(folder: string): string | undefined {
  try {
    return readlinkSync(`${folder}/latest`);
  } catch {
    return undefined;
  }
}

/** Content and names of each complete run, to be compared later: no byte of them may change. */
export async function fingerprintRuns(folder: string): Promise<Map<string, string>> {
  const prints = new Map<string, string>();
  for (const run of completeRuns(folder)) {
    const manifest = execFileSync('sha256sum', [`${folder}/${run}.impl`], { encoding: 'utf8' });
    prints.set(run, `${await fingerprintTree(`${folder}/${run}`)} ${manifest}`);
  }
  return prints;
}

/** The manifest's lines as objects, by zstd and JSON.parse alone. */
export function readManifest(file: string): Record<string, unknown>[] {
  const text = execFileSync('zstd', ['-dcq', file], { encoding: 'latin1', maxBuffer: 1 << 30 });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function findManifestFaults(
  linesOf: (file: string) => Record<string, unknown>[],
  file: string,
  run: string,
): string[] {
  try {
    const lines = linesOf(file);
    const counts = lines.at(-1)?.['counts'] as { entries?: number } | undefined;
    const faults: string[] = [];
    if (lines[0]?.['run'] !== run) faults.push(`the manifest of ${run} is of ${String(lines[0]?.['run'])}`);
    if (counts?.entries !== lines.length - 2) {
      faults.push(
        `the manifest of ${run} has ${lines.length - 2} entries, its trailer says ${counts?.entries}`,
      );
    }
    return faults;
  } catch (error) {
    return [`the manifest of ${run} can't be read: ${String(error)}`];
  }
}
