import { baseName, HiddenTree, readManifest } from '@bakker/impl-format';
import type { Entry, HiddenFolder, SourceFilesystem, Stored } from '@bakker/impl-format';
import { newDirectoryId } from '@bakker/impl-format/sealed';
import { longPathPlace } from '../backup/stored-place.ts';
import type { Scratch } from '../ports/state-folder.ts';
import type { Naming, PlacedEntry } from './sealing.ts';

const MANIFEST: Stored = { kind: 'manifest' };

export interface HiddenNamingOptions {
  readonly nameKey: Buffer;
  readonly maxPathBytes: number;
  /** The parent's manifest, if its names are hidden under the same key. */
  readonly parent: (() => AsyncIterable<Uint8Array>) | undefined;
  /** Of this run. */
  readonly filesystems: readonly SourceFilesystem[];
  readonly scratch: Scratch;
  /** Whether a folder is at this path of the source now. */
  readonly hasFolder: (path: Buffer) => boolean;
}

/**
 * Names as the storage may see them. A folder keeps its id from the parent, also if it was moved, so that all below it keeps
 * its name. Holds the folders above the entry that passes, and the ids of folders that were moved.
 *
 * @see docs/sealed-format.md#hidden-names
 */
export class HiddenNaming implements Naming {
  readonly nameKey: Buffer;
  readonly #options: HiddenNamingOptions;
  readonly #tree: HiddenTree;
  /** Folders above the entry that passes whose names are the parent's. */
  readonly #asBefore = new WeakSet<HiddenFolder>();
  readonly #movedIds = new Set<string>();
  #isIndexed = false;

  constructor(options: HiddenNamingOptions) {
    this.#options = options;
    this.nameKey = options.nameKey;
    this.#tree = new HiddenTree(options.nameKey);
  }

  prepare(now: Entry, before: Entry | undefined): Promise<void> | undefined {
    if (this.#isIndexed || now.type !== 'directory' || before?.nameId !== undefined) return undefined;
    this.#isIndexed = true;
    const { parent } = this.#options;
    return parent === undefined ? undefined : this.#index(parent());
  }

  place(now: Entry, before: Entry | undefined): PlacedEntry {
    const above = this.#tree.folderOf(now.path);
    if (above === undefined) throw new Error('the scan did not show the folder that an entry is in');
    const isRoot = above.path.length === 0;
    const isAsBefore = this.#options.parent !== undefined && (isRoot || this.#asBefore.has(above));
    const stored = this.#storedOf(now, above);
    if (now.type !== 'directory') return { entry: { ...now, stored }, isAsBefore };
    const nameId = this.#idOf(now, before);
    const folder = this.#tree.enter(above, now.path, nameId);
    if (isAsBefore && before?.nameId?.equals(nameId) === true) this.#asBefore.add(folder);
    return { entry: { ...now, stored, nameId }, isAsBefore };
  }

  #storedOf(now: Entry, above: HiddenFolder): Stored {
    if (now.stored.kind === 'manifest' || now.type === 'symlink') return MANIFEST;
    const name = baseName(now.path);
    if (above.bytesOfNames <= this.#options.maxPathBytes) return above.place(name);
    return now.type === 'file' ? longPathPlace(above.hide(name)) : MANIFEST;
  }

  /** The old one if the folder is found at its place, or moved; no two folders of a run have the same. */
  #idOf(now: Entry, before: Entry | undefined): Buffer {
    const old = before?.nameId;
    if (old !== undefined && !this.#movedIds.has(old.toString('latin1'))) return old;
    const mountPoint = this.#options.filesystems[now.filesystem]?.mountPoint;
    const moved =
      old === undefined && mountPoint !== undefined
        ? this.#options.scratch.folderByInode(mountPoint, now.inode)
        : undefined;
    if (moved === undefined || this.#options.hasFolder(moved.path)) return newDirectoryId();
    const key = moved.nameId.toString('latin1');
    if (this.#movedIds.has(key)) return newDirectoryId();
    this.#movedIds.add(key);
    return moved.nameId;
  }

  async #index(parent: AsyncIterable<Uint8Array>): Promise<void> {
    await using reader = await readManifest(parent);
    const mountPoints = reader.header.filesystems.map(({ mountPoint }) => mountPoint);
    for await (const batch of reader.batches()) {
      for (const { type, nameId, path, inode, filesystem: number } of batch) {
        const filesystem = mountPoints[number];
        if (type !== 'directory' || nameId === undefined || filesystem === undefined) continue;
        this.#options.scratch.addFolder({ filesystem, inode, path, nameId });
      }
    }
  }
}
