import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import type { Entry } from '@bakker/impl-format';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import type { SourceProblem, SourceRules, SourceTree } from '../../src/ports/source-tree.ts';

/** A folder on the real disk, removed with what is in it: by rm, which takes paths of any length. */
export function temporaryFolder(name: string): Disposable & { readonly path: string } {
  const path = mkdtempSync(`/tmp/bakker-scan-${name}-`);
  return { path, [Symbol.dispose]: () => void execFileSync('rm', ['-rf', path]) };
}

export interface Scanned {
  readonly tree: SourceTree;
  readonly entries: readonly Entry[];
  readonly problems: readonly SourceProblem[];
  readonly batchSizes: readonly number[];
  readonly mountPoints: readonly string[];
  /** By absolute path, latin1. */
  entry(path: string): Entry;
  has(path: string): boolean;
  /** Absolute paths below a folder, latin1, in the order of the scan. */
  below(folder: string): string[];
}

/** Scans for real, with nothing excluded unless said. */
export async function scan(sources: readonly (Partial<SourceRules> & { path: Buffer })[]): Promise<Scanned> {
  const problems: SourceProblem[] = [];
  const plan = {
    sources: sources.map((source) => ({ excludes: [], oneFilesystem: true, honourMarkers: true, ...source })),
    onProblem: (problem: SourceProblem) => problems.push(problem),
  };
  const tree = openSourceTree();
  const survey = await tree.survey(plan);
  const entries: Entry[] = [];
  const batchSizes: number[] = [];
  for await (const batch of tree.scan(plan, survey, { signal: new AbortController().signal })) {
    batchSizes.push(batch.length);
    entries.push(...batch);
  }
  const byPath = new Map(entries.map((entry) => [`/${entry.path.toString('latin1')}`, entry]));
  return {
    tree,
    entries,
    problems,
    batchSizes,
    mountPoints: survey.filesystems.map(({ mountPoint }) => mountPoint.toString()),
    entry: (path) => {
      const found = byPath.get(path);
      if (found === undefined) throw new Error(`no entry for ${path}`);
      return found;
    },
    has: (path) => byPath.has(path),
    below: (folder) => [...byPath.keys()].filter((path) => path.startsWith(`${folder}/`)),
  };
}

/** One source with the rules that a configuration has by default. */
export function source(
  path: string,
  rules: Partial<SourceRules> = {},
): Partial<SourceRules> & { path: Buffer } {
  return { ...rules, path: Buffer.from(path) };
}
