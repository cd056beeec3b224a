import { baseName, parentPath, type Entry } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type { Attributes, Placing, Refusal, TargetFolder, TargetItem } from '../ports/restore-target.ts';
import { DIFFERENT, dataExtents } from '../browse/stored-content.ts';
import { attributesOf } from './attributes-of.ts';
import { decide, type Decision } from './decide.ts';
import { entryBytes } from './entry-bytes.ts';
import { FileFetcher, type Fetched } from './fetch-files.ts';
import type { FolderNode, FolderWalk } from './folder-walk.ts';
import { KeptInodes } from './kept-inodes.ts';
import { LinkGroups, type LinkGroup } from './link-groups.ts';
import { NOT_EMPTY, reasonOf } from './local-failure.ts';
import { unreadable } from './place-folders.ts';
import type { RestoreContext } from './restore-job.ts';

/** One name to be restored. `done` says whether the run's content stands there now. */
interface Place {
  readonly entry: Entry;
  readonly node: FolderNode;
  readonly name: Buffer;
  readonly existing: TargetItem | undefined;
  readonly attributes: Attributes;
  readonly done: (isThere: boolean) => void;
}

/** Restores everything that is no folder. Contents come in any order; links wait for the first of their group. */
export class FilePlacer implements Disposable {
  readonly #context: RestoreContext;
  readonly #walk: FolderWalk;
  readonly #fetcher: FileFetcher;
  readonly #groups: LinkGroups;
  readonly #kept: KeptInodes;
  /** Of names that wait for the first of their group. */
  #waitingBytes = 0;
  /** Folder of the group leader that was linked to last. */
  #leaderFolder: { readonly path: Buffer; readonly folder: TargetFolder } | undefined;

  constructor(context: RestoreContext, walk: FolderWalk) {
    this.#context = context;
    this.#walk = walk;
    this.#fetcher = new FileFetcher(context);
    this.#groups = new LinkGroups(context.ports.overflow);
    this.#kept = new KeptInodes(context.ports.overflow);
  }

  /** Undefined when there is room for more work; else resolves when there is. Rejects with what ended the restore. */
  room(): Promise<void> | undefined {
    if (this.#walk.lingeringCount > MOST_LINGERING || this.#waitingBytes > MOST_WAITING_BYTES)
      return this.#fetcher.idle();
    return this.#fetcher.room() ?? this.#groups.room() ?? this.#kept.room();
  }

  /** Resolves when nothing is in flight. Rejects with what ended the restore. */
  idle(): Promise<void> {
    return this.#fetcher.idle();
  }

  place(node: FolderNode, entry: Entry): void {
    const { report } = this.#context;
    if (node.isBlocked) return;
    if (entry.unreadable !== undefined) {
      report.absent.add(entry.path, unreadable(entry.unreadable));
      return;
    }
    const group = this.#groups.of(entry);
    if (group === undefined) this.#placeOwn(node, entry, () => undefined);
    else this.#placeInGroup(node, entry, group);
  }

  [Symbol.dispose](): void {
    this.#leaderFolder?.folder[Symbol.dispose]();
    this.#leaderFolder = undefined;
  }

  #placeInGroup(node: FolderNode, entry: Entry, group: LinkGroup): void {
    if (group.state === 'pending') {
      this.#walk.hold(node);
      this.#waitingBytes += entryBytes(entry);
      group.waiting.push(() => {
        this.#waitingBytes -= entryBytes(entry);
        this.#placeInGroup(node, entry, group);
        this.#walk.release(node);
      });
      return;
    }
    if (group.state === 'placed' && this.#link(node, entry, group)) return;
    group.state = 'pending';
    this.#placeOwn(node, entry, (isThere) => {
      group.state = isThere ? 'placed' : 'none';
      const item = isThere ? node.folder?.inspect(baseName(entry.path)) : undefined;
      group.leader = item === undefined ? undefined : { path: entry.path, item };
      const waiting = group.waiting;
      group.waiting = [];
      for (const resume of waiting) resume();
    });
  }

  /** False if it can't be linked, so that it needs content of its own. */
  #link(node: FolderNode, entry: Entry, { leader }: LinkGroup): boolean {
    const { job, report } = this.#context;
    const name = baseName(entry.path);
    const existing = this.#inspect(node, name);
    if (leader === undefined) {
      this.#plan({ entry, node, name, existing });
      return true;
    }
    if (existing?.inode === leader.item.inode && existing.filesystem === leader.item.filesystem) {
      this.#kept.pass(existing);
      this.#skip(entry);
      return true;
    }
    const decision = decide(entry, existing, { overwrite: job.overwrite, isSameThing: () => false });
    if (decision === 'keep' || decision === 'blocked') {
      this.#leave(entry, existing, decision);
      return true;
    }
    if (job.isDryRun || node.folder === undefined) {
      this.#plan({ entry, node, name, existing });
      return true;
    }
    try {
      const folder = this.#folderOf(leader.path);
      const found = folder.inspect(baseName(leader.path));
      if (found?.inode !== leader.item.inode || found.filesystem !== leader.item.filesystem) return false;
      const replaces = this.#clear(node, name, existing);
      node.folder.placeLink(name, { folder, name: baseName(leader.path) }, { replaces });
    } catch (error) {
      reasonOf(error); // too many links, another file system, a folder that is closed to us: a copy does as well
      return false;
    }
    node.isTouched = true;
    report.files++;
    this.#context.ports.progress.advance({ bytes: entry.sizeBytes });
    return true;
  }

  /** It is right already, or stays as the operator asked. */
  #skip(entry: Entry): void {
    this.#context.report.skipped++;
    this.#context.ports.progress.advance({ bytes: entry.sizeBytes });
  }

  #folderOf(path: Buffer): TargetFolder {
    const parent = parentPath(path);
    if (this.#leaderFolder?.path.equals(parent) === true) return this.#leaderFolder.folder;
    const { tree } = this.#context;
    if (tree === undefined) throw new Error('a link in a tree that is not there');
    const folder = tree.folderAt(parent);
    this.#leaderFolder?.folder[Symbol.dispose]();
    this.#leaderFolder = { path: Buffer.from(parent), folder };
    return folder;
  }

  #placeOwn(node: FolderNode, entry: Entry, done: (isThere: boolean) => void): void {
    const { job, ports } = this.#context;
    const name = baseName(entry.path);
    const attributes = attributesOf(entry, { names: ports.target, numericOwner: job.numericOwner });
    const isThere = this.#attempt(entry, () => {
      const existing = this.#inspect(node, name);
      const place: Place = { entry, node, name, existing, attributes, done };
      const decision = decide(entry, existing, {
        overwrite: job.overwrite,
        isSameThing: () => isSameThing(place),
      });
      if (decision === 'keep' || decision === 'blocked') {
        this.#leave(entry, existing, decision);
        return false;
      }
      if (decision === 'same' && this.#keepSame(place)) return true;
      if (!job.isDryRun) return this.#make(place);
      if (!this.#plan(place)) return false;
      this.#context.report.bytes += entry.sizeBytes;
      return true;
    });
    if (isThere !== undefined) done(isThere);
  }

  /** Says what would be done, a folder that would give way included. False if it would not. */
  #plan({ entry, node, name, existing }: Pick<Place, 'entry' | 'node' | 'name' | 'existing'>): boolean {
    const { job, report } = this.#context;
    const deleted = existing?.type === 'directory' ? (node.folder?.count(name) ?? 0) : 0;
    if (deleted > 1 && !job.deletes) {
      report.failed.add(entry.path, NOT_EMPTY);
      return false;
    }
    if (deleted > 0 && job.deletes) {
      report.plan(entry.path, 'delete');
      report.deleted += deleted;
    }
    report.plan(entry.path, existing === undefined ? 'create' : 'replace');
    report.files++;
    return true;
  }

  /** True if what is there may stay, with its attributes put right. */
  #keepSame({ entry, node, name, existing, attributes }: Place): boolean {
    const { job, ports, report } = this.#context;
    const { folder } = node;
    if (folder === undefined || existing === undefined) return false;
    const { sha256 } = entry;
    const isRight = folder.has(attributes, { name, item: existing });
    // Size and time can be had alike: who may write to the folder could have another's file given to himself.
    const isGivenAway = !isRight && ports.target.mayGiveAway && isOwnedOtherwise(existing, attributes);
    const isLookedInto = sha256 !== undefined && (job.verifies || isGivenAway);
    if (isLookedInto && !hasContent(folder, { name, item: existing }, sha256)) return false;
    // It has names that the run does not know: theirs must not change.
    if (!isRight && existing.linkCount > entry.linkCount) return false;
    if (!this.#kept.take(existing)) return false;
    if (isRight) {
      this.#skip(entry);
      return true;
    }
    if (job.isDryRun) report.plan(entry.path, 'attributes');
    else report.refuse(entry.path, folder.setAttributes(name, existing, attributes));
    report.mended++;
    return true;
  }

  #leave(entry: Entry, existing: TargetItem | undefined, decision: Decision): void {
    const { report } = this.#context;
    if (decision === 'keep') this.#skip(entry);
    else report.failed.add(entry.path, `a ${existing?.type ?? 'thing'} is in the way`);
  }

  /** Undefined where that is not known yet: `done` will be called. */
  #make(place: Place): true | undefined {
    const { entry } = place;
    switch (entry.type) {
      case 'file':
        this.#fetch(place);
        return undefined;
      case 'symlink':
        this.#put(place, (folder, placing) =>
          folder.placeSymlink(place.name, entry.target ?? Buffer.alloc(0), placing),
        );
        return true;
      case 'fifo':
      case 'socket':
      case 'char':
      case 'block': {
        const { type, device } = entry;
        this.#put(place, (folder, placing) => folder.placeNode(place.name, { type, device }, placing));
        return true;
      }
      case 'directory':
        throw new Error('a folder is no file');
    }
  }

  #fetch(place: Place): void {
    const { entry, node, name, existing, done } = place;
    this.#walk.hold(node);
    const settle = (isThere: boolean) => {
      done(isThere);
      this.#walk.release(node);
    };
    this.#fetcher.fetch(entry, {
      comparesContent: existing === undefined, // nothing has to make way for it before
      open: () => {
        if (node.folder === undefined) throw new Error('a file in a folder that does not exist');
        return node.folder.openFile(name);
      },
      onContent: async (content) => {
        const isThere = await this.#putContent(place, content);
        // what got no name is removed first: its folder may be let go of next
        if ('file' in content) content.file[Symbol.dispose]();
        settle(isThere);
      },
      onDamage: (reason) => {
        this.#context.report.damaged.add(entry.path, reason);
        settle(false);
      },
      onLocalFailure: (error) => {
        this.#context.report.failed.add(entry.path, reasonOf(error));
        settle(false);
      },
    });
  }

  /** False if it failed for this path alone. */
  async #putContent(place: Place, content: Fetched): Promise<boolean> {
    const { entry, name } = place;
    try {
      const { folder, placing } = this.#placing(place);
      const refusals =
        'file' in content
          ? content.file.commit(entry.sizeBytes, placing)
          : await folder.placeFileSoon(name, { ...content, extents: entry.extents }, placing);
      if (refusals === 'different') {
        this.#context.report.damaged.add(entry.path, DIFFERENT);
        return false;
      }
      this.#note(place, refusals);
      // of a large file the data was told as it came
      const toldBytes = 'file' in content ? dataBytes(entry) : 0;
      this.#context.ports.progress.advance({ bytes: entry.sizeBytes - toldBytes });
      this.#noteContent(place);
      return true;
    } catch (error) {
      this.#context.report.failed.add(entry.path, reasonOf(error));
      return false;
    }
  }

  #noteContent({ entry, name, node }: Place): void {
    const { job, report } = this.#context;
    report.bytes += entry.sizeBytes;
    if (!job.verifies || entry.sha256 === undefined || node.folder === undefined) return;
    if (!hasContent(node.folder, { name }, entry.sha256))
      report.failed.add(entry.path, 'it reads back differently than it was written');
  }

  #put(
    place: Place,
    make: (folder: TargetFolder, placing: Placing) => ReturnType<TargetFolder['placeSymlink']>,
  ): void {
    const { folder, placing } = this.#placing(place);
    this.#note(place, make(folder, placing));
  }

  /** Makes way for what is to be placed. */
  #placing({ node, name, existing, attributes }: Place): { folder: TargetFolder; placing: Placing } {
    if (node.folder === undefined) throw new Error('a file in a folder that does not exist');
    const { overwrite } = this.#context.job;
    return {
      folder: node.folder,
      placing: {
        attributes,
        replaces: this.#clear(node, name, existing),
        // run again after a kill, these keep what they find
        appearsWhole: overwrite === 'never' || overwrite === 'if-newer',
      },
    };
  }

  #note({ entry, node }: Place, refusals: readonly Refusal[]): void {
    const { report } = this.#context;
    report.refuse(entry.path, refusals);
    node.isTouched = true;
    report.files++;
  }

  /** Takes a folder out of the way; anything else is replaced by rename. Returns whether there is something to replace. */
  #clear(node: FolderNode, name: Buffer, existing: TargetItem | undefined): boolean {
    const { job, report } = this.#context;
    if (existing === undefined) return false;
    if (existing.type !== 'directory') return true;
    node.isTouched = true;
    const removed = node.folder?.remove(name, { onlyEmpty: !job.deletes }) ?? 0;
    if (job.deletes) report.deleted += removed;
    return false;
  }

  #inspect(node: FolderNode, name: Buffer): TargetItem | undefined {
    return node.folder === undefined || node.folder.isNew ? undefined : node.folder.inspect(name);
  }

  /** False if it failed for this path alone. */
  #attempt(entry: Entry, act: () => boolean | undefined): boolean | undefined {
    try {
      return act();
    } catch (error) {
      this.#context.report.failed.add(entry.path, reasonOf(error));
      return false;
    }
  }
}

/** More folders than these, left but with files in flight, are waited for: each is an open descriptor. */
const MOST_LINGERING = 256;
/** Tens of thousands of usual names. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

function dataBytes(entry: Entry): number {
  return dataExtents(entry).reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}

function isSameThing({ entry, node, name, existing }: Place): boolean {
  if (entry.type === 'symlink')
    return node.folder?.readLink(name).equals(entry.target ?? Buffer.alloc(0)) === true;
  return existing?.device?.major === entry.device?.major && existing?.device?.minor === entry.device?.minor;
}

function isOwnedOtherwise(existing: TargetItem, { uid, gid }: Attributes): boolean {
  return existing.uid !== uid || existing.gid !== gid;
}

function hasContent(
  folder: TargetFolder,
  { name, item }: { readonly name: Buffer; readonly item?: TargetItem },
  sha256: Buffer,
): boolean {
  const sum = createHash('sha256');
  for (const piece of folder.read(name, item)) sum.update(piece);
  return sum.digest().equals(sha256);
}
