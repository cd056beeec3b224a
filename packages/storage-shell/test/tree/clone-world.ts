import { lstatSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { comparePaths, TreeScriptEncoder, type TreeOperation, type TreeOutcome } from '@bakker/impl-format';
import { openFolder } from '@bakker/linux';
import { RunFolders } from '../../src/adapters/account/run-folders.ts';
import { TreeCloner } from '../../src/adapters/tree/tree-cloner.ts';

export interface Found {
  readonly type: 'file' | 'directory' | 'symlink';
  /** Of files and symlinks: the very inode counts. */
  readonly inode: number | undefined;
  readonly sizeBytes: number;
}

/** A parent with the files of `tree` (`-> target` a symlink, a name that ends in `/` a folder), an empty run, and a cloner. */
export function cloneWorld(
  tree: Readonly<Record<string, string>>,
  {
    hasParent = true,
    folder = '/tmp',
    hurt = [],
    knowsBytes = false,
    processors = 4,
  }: {
    hasParent?: boolean;
    folder?: string;
    hurt?: readonly string[];
    knowsBytes?: boolean;
    processors?: number;
  } = {},
) {
  const top = mkdtempSync(join(folder, 'bakker-tree-'));
  const parent = join(top, 'parent');
  const run = join(top, 'run');
  const token = 'ab'.repeat(16);
  mkdirSync(parent);
  mkdirSync(run);
  for (const [name, content] of Object.entries(tree)) {
    const path = join(parent, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (name.endsWith('/')) continue;
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), path);
    else writeFileSync(path, content);
  }
  const parentHandle = openFolder(Buffer.from(parent));
  const runHandle = openFolder(Buffer.from(run));
  const runFolders = new RunFolders(runHandle);
  const hurtInodes = new Set(hurt.map((path) => lstatSync(join(parent, path), { bigint: true }).ino));
  const copiedBytes: number[] = [];
  const cloner = new TreeCloner({
    runFolders,
    parent: hasParent ? parentHandle : undefined,
    parentBytes: knowsBytes ? bytesOf(treeOf(parent)) : undefined,
    resolveFolder: (name) => (name === token ? runHandle : undefined),
    hurtInodes,
    processors,
    beforeCopy: (sizeBytes) => void copiedBytes.push(sizeBytes),
  });
  const list = (which: 'parent' | 'run') => treeOf(which === 'parent' ? parent : run);
  return {
    ...{ top, parent, run, token, runFolders, cloner, copiedBytes },
    apply(operations: readonly TreeOperation[]): Promise<TreeOutcome> {
      const encoder = new TreeScriptEncoder();
      for (const operation of operations) writeOperation(encoder, operation);
      return cloner.apply(encoder.take());
    },
    tree: list,
    expected: (operations: readonly TreeOperation[]) => naively(list('parent'), operations),
    async [Symbol.asyncDispose]() {
      await cloner[Symbol.asyncDispose]();
      runFolders[Symbol.dispose]();
      parentHandle[Symbol.dispose]();
      runHandle[Symbol.dispose]();
      execFileSync('rm', ['-rf', top]);
    },
  };
}

export function writeOperation(encoder: TreeScriptEncoder, operation: TreeOperation): number {
  switch (operation.kind) {
    case 'keep-until':
      return encoder.keepUntil(operation.path);
    case 'keep-rest':
      return encoder.keepRest();
    case 'skip':
      return encoder.skip(operation.path);
    case 'link':
      return encoder.link(operation.path, operation.folder, operation.from);
    case 'directory':
      return encoder.directory(operation.path);
    case 'symlink':
      return encoder.symlink(operation.path, operation.target);
  }
}

/** What the document says of keep-until, keep-rest and skip, for a list of all paths: no folders, no descending. */
function naively(
  parent: ReadonlyMap<string, Found>,
  operations: readonly TreeOperation[],
): Map<string, Found> {
  let left = [...parent.keys()].sort(byPath);
  const kept = new Set<string>();
  const keepBefore = (path: Buffer | undefined) => {
    for (const one of left) if (path === undefined || comparePaths(Buffer.from(one), path) < 0) kept.add(one);
    left = left.filter((one) => path !== undefined && comparePaths(Buffer.from(one), path) >= 0);
  };
  for (const operation of operations) {
    if (operation.kind === 'keep-rest') keepBefore(undefined);
    if (operation.kind !== 'keep-until' && operation.kind !== 'skip') continue;
    keepBefore(operation.path);
    if (operation.kind === 'keep-until') continue;
    const path = operation.path.toString();
    left = left.filter((one) => one !== path && !one.startsWith(`${path}/`));
  }
  const isLong = (path: string) => path === '.bakker-long-paths' || path.startsWith('.bakker-long-paths/');
  return new Map([...parent].filter(([path]) => kept.has(path) && !isLong(path)));
}

/** Of all names of files. */
export function bytesOf(tree: ReadonlyMap<string, Found>): number {
  return [...tree.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function treeOf(top: string): Map<string, Found> {
  const found = new Map<string, Found>();
  const visit = (folder: string): void => {
    for (const name of readdirSync(join(top, folder)).sort(byPath)) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const stat = lstatSync(join(top, path));
      const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
      found.set(path, {
        type,
        inode: type === 'directory' ? undefined : stat.ino,
        sizeBytes: type === 'file' ? stat.size : 0,
      });
      if (type === 'directory') visit(path);
    }
  };
  visit('');
  return found;
}

function byPath(a: string, b: string): number {
  return comparePaths(Buffer.from(a), Buffer.from(b));
}
