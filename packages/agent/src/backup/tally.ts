import type { Entry } from '@bakker/impl-format';
import type { BackupReport } from './report.ts';
import { storedPath } from './stored-place.ts';

/** How one path came into the run. */
export type Outcome = 'new' | 'changed' | 'metadata' | 'moved' | 'unchanged' | 'unreadable';

/** Paths remembered to tell a move from a loss; beyond it a move by content counts as one of each. */
const MAX_PATHS = 50_000;

/** Content that went to the storage: all attempts of one command together, since each links what those before it had brought. */
export class Brought {
  sentBytes = 0;
  storedBytes = 0;
  /** Of these, as they lie sealed on the storage. */
  sealedBytes = 0;

  /** What had arrived is not used any more. */
  dropStored(): void {
    this.storedBytes = 0;
    this.sealedBytes = 0;
  }
}

/** Counts of a run under way. */
export class Tally {
  readonly #counts = { new: 0, changed: 0, metadata: 0, moved: 0, unchanged: 0, unreadable: 0 };
  #total = 0;
  #vanished = 0;
  #movedAway = 0;
  readonly #vanishedPaths = new Set<string>();
  readonly #movedFrom = new Set<string>();
  #before = 0;
  #sourceBytes = 0;
  readonly brought: Brought;

  constructor(brought = new Brought()) {
    this.brought = brought;
  }

  /** A path of this run that is no folder, or a folder that could not be read. */
  count(entry: Entry, outcome: Outcome): void {
    if (entry.type === 'directory' && outcome !== 'unreadable') return;
    this.#counts[outcome]++;
    this.#total++;
    this.#sourceBytes += entry.type === 'file' && outcome !== 'unreadable' ? entry.sizeBytes : 0;
  }

  /** Files that are in the parent, too, just as they are. */
  countSame(fileCount: number, bytes: number): void {
    this.#before += fileCount;
    this.#counts.unchanged += fileCount;
    this.#total += fileCount;
    this.#sourceBytes += bytes;
  }

  /** A path of the parent. */
  countBefore(entry: Entry): void {
    if (entry.type !== 'directory') this.#before++;
  }

  /** A path of the parent that this run has not. */
  countVanished(entry: Entry): void {
    if (entry.type === 'directory') return;
    this.#vanished++;
    if (this.#vanishedPaths.size < MAX_PATHS) note(this.#vanishedPaths, storedPath(entry) ?? entry.path);
  }

  /** Content that an older run stores at this path was found under a new name: if the path vanished, it was moved. */
  countMovedFrom(path: Buffer): void {
    note(this.#movedFrom, path);
  }

  /** An inode of the parent was found under another name: that its old name vanished is no loss. */
  countMovedAway(): void {
    this.#movedAway++;
  }

  get beforeCount(): number {
    return this.#before;
  }

  get files(): BackupReport['files'] {
    const { new: added, changed, metadata, moved, unchanged, unreadable } = this.#counts;
    let movedByContent = 0;
    for (const path of this.#movedFrom) if (this.#vanishedPaths.has(path)) movedByContent++;
    const gone = Math.max(0, this.#vanished - this.#movedAway - movedByContent);
    return { total: this.#total, new: added, changed, metadata, moved, unchanged, gone, unreadable };
  }

  get bytes(): BackupReport['bytes'] {
    const { sentBytes, storedBytes } = this.brought;
    return { source: this.#sourceBytes, sent: sentBytes, stored: storedBytes };
  }
}

function note(paths: Set<string>, path: Buffer): void {
  if (paths.size < MAX_PATHS) paths.add(path.toString('latin1'));
}
