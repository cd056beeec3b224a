import { RECEIPTS, TRASH } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { hasCode, makeFolderAt, openFolderBeneath } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import type { TrashEntry } from '../../ports/account-keeper.ts';
import { parseTrashName } from '../../retain/trash-names.ts';
import type { TrashSuffix } from '../../retain/trash-names.ts';
import { readNames } from './read-names.ts';

/** The folders between which a removal moves things. */
export class RemovalFolders implements Disposable {
  readonly account: FolderHandle;
  readonly hidden: FolderHandle;
  readonly receipts: FolderHandle;
  readonly trash: FolderHandle;

  /** Makes those of them that are not there. @param account - stays the caller's @throws LibcError */
  constructor(account: FolderHandle) {
    using stack = new DisposableStack();
    this.account = account;
    this.hidden = stack.use(openFolderBeneath(account, Buffer.from('.bakker')));
    this.receipts = stack.use(openOrMake(account, RECEIPTS));
    this.trash = stack.use(openOrMake(account, TRASH));
    stack.move();
  }

  [Symbol.dispose](): void {
    for (const folder of [this.trash, this.receipts, this.hidden]) folder[Symbol.dispose]();
  }
}

/** What lies in the trash, by one reading of it. */
export interface TrashContents {
  /** Folders of removed runs with what lies beside them, oldest first. */
  readonly entries: readonly (TrashEntry & { readonly suffixes: ReadonlySet<TrashSuffix> })[];
  /** What lies beside a folder that is not there: the rest of a deletion, or of a removal that was cut off. */
  readonly strays: readonly { readonly run: RunName; readonly name: string; readonly suffix: TrashSuffix }[];
  /** Folders and files that no removal made; `.diff` folders that are strays, too. */
  readonly foreignNames: readonly Buffer[];
}

/** @throws LibcError */
export function lookAtTrash(trash: FolderHandle): TrashContents {
  const folders = new Map<string, { run: RunName; trashedAtMs: number }>();
  const beside = new Map<string, { run: RunName; suffixes: Set<TrashSuffix> }>();
  const foreignNames: Buffer[] = [];
  using fresh = openFolderBeneath(trash, Buffer.alloc(0));
  for (let items = readNames(fresh); items !== undefined; items = readNames(fresh)) {
    for (const item of items) {
      const parsed = parseTrashName(item.name.toString('latin1'));
      if (parsed === undefined || (parsed.suffix === undefined && item.kind !== 'folder')) {
        foreignNames.push(item.name);
      } else if (parsed.suffix === undefined) {
        folders.set(parsed.name, { run: parsed.run, trashedAtMs: parsed.trashedAtMs });
      } else {
        const known = beside.get(parsed.name) ?? { run: parsed.run, suffixes: new Set() };
        known.suffixes.add(parsed.suffix);
        beside.set(parsed.name, known);
      }
    }
  }
  const strays = [...beside].flatMap(([name, { run, suffixes }]) =>
    folders.has(name) ? [] : [...suffixes].map((suffix) => ({ run, name, suffix })),
  );
  for (const { name, suffix } of strays)
    if (suffix === '.diff') foreignNames.push(Buffer.from(name + suffix));
  const entries = [...folders].flatMap(([name, { run, trashedAtMs }]) => {
    const stat = lstatSync(trash.at(Buffer.from(name)), { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const suffixes: ReadonlySet<TrashSuffix> = beside.get(name)?.suffixes ?? new Set();
    const renamedAtMs = Math.floor(stat.ctimeMs);
    return { name, run, trashedAtMs, renamedAtMs, isWhole: suffixes.has('.impl'), suffixes };
  });
  entries.sort((a, b) => a.trashedAtMs - b.trashedAtMs || (a.name < b.name ? -1 : 1));
  return { entries, strays, foreignNames };
}

const FOLDER_MODE = 0o700;

function openOrMake(account: FolderHandle, path: string): FolderHandle {
  try {
    return openFolderBeneath(account, Buffer.from(path));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  const slash = path.lastIndexOf('/');
  using parent = openFolderBeneath(account, Buffer.from(path.slice(0, slash)));
  makeFolderAt({ folder: parent, name: Buffer.from(path.slice(slash + 1)) }, FOLDER_MODE);
  return openFolderBeneath(account, Buffer.from(path));
}
