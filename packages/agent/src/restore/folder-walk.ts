import { baseName, isAtOrBelow, parentPath, type Entry } from '@bakker/impl-format';
import type { TargetFolder } from '../ports/restore-target.ts';

/** A folder of the target on the way to the current entry, or behind it with files still in flight. */
export interface FolderNode {
  /** Relative to the root of the target. */
  readonly path: Buffer;
  readonly above: FolderNode | undefined;
  /** Undefined if there is none: a dry run, or something is in the way. */
  readonly folder: TargetFolder | undefined;
  readonly isBlocked: boolean;
  /** The run's word on it; undefined for the root, and for folders that the run does not list. */
  readonly entry: Entry | undefined;
  /** Whether the recorded attributes are to be set at the end. */
  readonly setsAttributes: boolean;
  /** Names (latin1) that were here before and that the run has not mentioned yet; undefined where nothing is deleted. */
  readonly extras: Set<string> | undefined;
  /** Something was made, replaced or removed here, so its times must be set again. */
  isTouched: boolean;
  /** Whether the run has anything in it. */
  hasChildren: boolean;
}

/** What to do when the walk has seen all names of a folder, and when nothing more will be written to it. */
export interface WalkEvents {
  /** Opens or makes the folder of an entry, or one above it that the run does not list (`entry` undefined). */
  enter(above: FolderNode, path: Buffer, entry: Entry | undefined): FolderNode;
  onLeft(node: FolderNode): void;
  onFinished(node: FolderNode): void;
}

/**
 * Follows the manifest's order through the folders of the target, with one open handle for each level. A folder is
 * finished when the walk left it, its folders are finished and no file is in flight for it: the deepest first.
 */
export class FolderWalk implements Disposable {
  readonly #events: WalkEvents;
  readonly #stack: FolderNode[];
  readonly #holds = new Map<FolderNode, number>();

  constructor(root: FolderNode, events: WalkEvents) {
    this.#events = events;
    this.#stack = [root];
    this.#holds.set(root, 1);
  }

  /** Folders that were left and wait for files in flight. */
  get lingeringCount(): number {
    return this.#holds.size - this.#stack.length;
  }

  /** Goes to the folder that `path` lies in. */
  parentOf(path: Buffer): FolderNode {
    const parent = parentPath(path);
    while (!isAtOrBelow(parent, this.#top.path)) this.#leave();
    while (this.#top.path.length < parent.length) {
      const start = this.#top.path.length === 0 ? 0 : this.#top.path.length + 1;
      const slash = parent.indexOf(SLASH, start);
      this.#enter(parent.subarray(0, slash < 0 ? parent.length : slash), undefined);
    }
    this.#top.hasChildren = true;
    this.#top.extras?.delete(baseName(path).toString('latin1'));
    return this.#top;
  }

  enter(entry: Entry): void {
    this.parentOf(entry.path);
    this.#enter(entry.path, entry);
  }

  /** Keeps a folder open until `release`. */
  hold(node: FolderNode): void {
    this.#holds.set(node, (this.#holds.get(node) ?? 0) + 1);
  }

  release(node: FolderNode): void {
    const left = (this.#holds.get(node) ?? 0) - 1;
    if (left > 0) {
      this.#holds.set(node, left);
      return;
    }
    this.#holds.delete(node);
    this.#events.onFinished(node);
    if (node.above !== undefined) this.release(node.above);
  }

  /** Leaves all folders. */
  end(): void {
    while (this.#stack.length > 0) this.#leave();
  }

  /** Closes what a failed restore left open, without finishing it. */
  [Symbol.dispose](): void {
    for (const node of this.#holds.keys()) if (node.above !== undefined) node.folder?.[Symbol.dispose]();
    this.#holds.clear();
  }

  get #top(): FolderNode {
    const top = this.#stack.at(-1);
    if (top === undefined) throw new Error('the walk has ended');
    return top;
  }

  #enter(path: Buffer, entry: Entry | undefined): void {
    const above = this.#top;
    above.hasChildren = true;
    above.extras?.delete(baseName(path).toString('latin1'));
    const node = this.#events.enter(above, path, entry);
    this.hold(above);
    this.#holds.set(node, 1);
    this.#stack.push(node);
  }

  #leave(): void {
    const node = this.#stack.pop();
    if (node === undefined) return;
    this.#events.onLeft(node);
    this.release(node);
  }
}

const SLASH = 0x2f;
