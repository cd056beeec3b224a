import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { tool } from './random-tree.ts';

/** What is backed up of a tree: some of the folders in it, without what bears certain names. */
export interface Chosen {
  readonly tops: readonly string[];
  /** Ends of names. */
  readonly without: readonly string[];
}

/** Copies by cp what a run must hold of `root`. @returns the paths of the original that are in it */
export function copyExpected(root: string, to: string, { tops, without }: Chosen): string[] {
  mkdirSync(to);
  tool('cp', ['-a', '--reflink=never', ...tops.map((top) => `${root}/${top}`), to]);
  const left = pathsBelow(to).filter((path) => without.some((end) => path.endsWith(end)));
  for (const path of left) {
    rmSync(path, { recursive: true, force: true });
    const parent = dirname(path);
    if (lstatSync(parent, { throwIfNoEntry: false })) tool('touch', ['-r', original(parent), parent]);
  }
  tool('chmod', ['--reference', root, to]);
  tool('touch', ['-r', root, to]);
  return pathsBelow(to).map(original);

  function original(path: string): string {
    return `${root}${path.slice(to.length)}`;
  }
}

function pathsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? [path, ...pathsBelow(path)] : [path];
  });
}
