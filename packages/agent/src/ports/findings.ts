import type { Entry, RunName } from '@bakker/impl-format';

/** A path that was looked for, in one run. */
export interface Hit {
  readonly run: RunName;
  readonly entry: Entry;
}

/** One path that two runs differ in. */
export interface Difference {
  readonly path: Buffer;
  readonly change: 'added' | 'removed' | 'content' | 'metadata' | 'moved';
  /** Where a moved path was before. */
  readonly from?: Buffer;
}

/** By what a path that is gone is known again under another name. */
export interface Identity {
  /** Same inode of the same file system, with the same size and time: renamed. */
  readonly inode: string;
  /** Same content; undefined where that says nothing. */
  readonly content: string | undefined;
}

/** What was found, in the order in which it was added. May be gone through several times. */
export interface Hits extends Iterable<Hit> {
  add(hit: Hit): Promise<void>;
}

/** What two runs differ in, in the order in which it was added. May be gone through several times. */
export interface Differences extends Iterable<Difference> {
  add(path: Buffer, change: 'content' | 'metadata'): void;
  /** One run alone has it; `findMoves` tells whether the other has the same under another name. */
  addLone(path: Buffer, change: 'added' | 'removed', identity: Identity): void;
  /** To be called once, after all was added: of what was added and what was removed, equals become one, first come, first matched. */
  findMoves(): void;
  readonly count: number;
}

/** Keeps what reading commands find until it is printed: of many, on disk, so that memory does not grow with the tree. */
export interface Findings {
  hits(): Hits;
  differences(): Promise<Differences>;
}
