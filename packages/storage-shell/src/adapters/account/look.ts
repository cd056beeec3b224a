import {
  LATEST,
  classifyName,
  compareRunNames,
  manifestName,
  parseRunName,
} from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { openFolderBeneath, readSymlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import { readNames } from '../runs/read-names.ts';

/** What lies at the top of an account. */
export interface AccountLook {
  /** Oldest first. */
  readonly complete: readonly RunName[];
  readonly incomplete: readonly RunName[];
  /** Runs that a manifest is there for. */
  readonly manifests: ReadonlySet<RunName>;
  /** Names of runs that something else has: a symlink to where somebody has moved one. */
  readonly others: ReadonlySet<RunName>;
}

/** One listing of the account. Memory: the names of runs. @throws LibcError */
export function lookAt(account: FolderHandle): AccountLook {
  const complete = new Set<RunName>();
  const incomplete = new Set<RunName>();
  const manifests = new Set<RunName>();
  const others = new Set<RunName>();
  // A folder of its own: reading uses up the position of the handle.
  using folder = openFolderBeneath(account, Buffer.alloc(0));
  for (let items = readNames(folder); items !== undefined; items = readNames(folder)) {
    for (const { name, kind } of items) {
      const found = classifyName(name);
      if (found.kind === 'run') (kind === 'folder' ? complete : others).add(found.run);
      if (found.kind === 'incomplete' && kind === 'folder') incomplete.add(found.run);
      if (found.kind === 'manifest' && kind === 'file') manifests.add(found.run);
    }
  }
  const sorted = (runs: Iterable<RunName>) => [...runs].sort(compareRunNames);
  return {
    complete: sorted(complete),
    // Of a run that is complete, an unfinished folder is a stranger's; it stays as it is.
    incomplete: sorted(incomplete).filter((run) => !complete.has(run)),
    manifests,
    others,
  };
}

/** What `latest` says, whether it is true or not. @throws LibcError */
export function latestTarget(account: FolderHandle): RunName | undefined {
  const target = readSymlinkAt({ folder: account, name: Buffer.from(LATEST) });
  return target === undefined ? undefined : parseRunName(target.toString('latin1'));
}

/** What `latest` points at, if that is a complete run. @throws errno errors */
export function latestRun(account: FolderHandle): RunName | undefined {
  const run = latestTarget(account);
  return run !== undefined && isFolder(account, run) ? run : undefined;
}

/** Null if there is none. @throws errno errors */
export function manifestSizeBytes(account: FolderHandle, run: RunName): number | null {
  const stat = lstatSync(account.at(Buffer.from(manifestName(run))), { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : null;
}

function isFolder(account: FolderHandle, run: RunName): boolean {
  return lstatSync(account.at(Buffer.from(run)), { throwIfNoEntry: false })?.isDirectory() === true;
}
