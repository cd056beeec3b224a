import { baseName, isAtOrBelow, type Entry } from '@bakker/impl-format';
import type { TargetFolder, TargetItem } from '../ports/restore-target.ts';
import { attributesOf } from './attributes-of.ts';
import { decideFolder } from './decide.ts';
import type { FolderNode, WalkEvents } from './folder-walk.ts';
import { reasonOf } from './local-failure.ts';
import type { RestoreContext } from './restore-job.ts';

/** Makes, enters, empties and finishes the folders of a restore. */
export class FolderPlacer implements WalkEvents {
  readonly #context: RestoreContext;
  /** Folders that the operator asked for, not only those above them. Told before each `enter`. */
  isSelected = false;

  constructor(context: RestoreContext) {
    this.#context = context;
  }

  root(): FolderNode {
    const { tree, job } = this.#context;
    const node: FolderNode = {
      path: Buffer.alloc(0),
      above: undefined,
      folder: tree?.root,
      isBlocked: false,
      entry: undefined,
      setsAttributes: false,
      extras: undefined,
      isTouched: false,
      hasChildren: false,
    };
    if (tree !== undefined && !job.isDryRun) tree.root.removeLeftovers();
    const isWhole = job.patterns.length === 0;
    return isWhole
      ? { ...node, extras: this.#extras(node.path, { folder: tree?.root, entry: undefined }) }
      : node;
  }

  enter(above: FolderNode, path: Buffer, entry: Entry | undefined): FolderNode {
    const node: FolderNode = {
      path,
      above,
      folder: undefined,
      isBlocked: true,
      entry,
      setsAttributes: false,
      extras: undefined,
      isTouched: false,
      hasChildren: false,
    };
    if (above.isBlocked) return node;
    if (entry?.unreadable !== undefined) this.#context.report.absent.add(path, unreadable(entry.unreadable));
    try {
      return this.#open(node, above);
    } catch (error) {
      this.#context.report.failed.add(path, reasonOf(error));
      return node;
    }
  }

  onLeft(node: FolderNode): void {
    const { folder, extras, above } = node;
    if (folder === undefined || extras === undefined || extras.size === 0) return;
    const isMount = above?.folder !== undefined && above.folder.item.filesystem !== folder.item.filesystem;
    if (isMount && !node.hasChildren) {
      this.#context.report.notDeleted.add(
        node.path,
        'another file system is mounted here, and the run has nothing of it',
      );
      return;
    }
    for (const name of extras) this.#remove(node, folder, Buffer.from(name, 'latin1'));
  }

  onFinished(node: FolderNode): void {
    const { folder } = node;
    if (folder === undefined || node.above === undefined) return;
    try {
      if (node.setsAttributes) this.#setAttributes(node, folder);
    } finally {
      folder[Symbol.dispose]();
    }
  }

  #open(node: FolderNode, above: FolderNode): FolderNode {
    const { job, report } = this.#context;
    const name = baseName(node.path);
    const existing =
      above.folder === undefined || above.folder.isNew ? undefined : above.folder.inspect(name);
    const decision = decideFolder(existing, job.overwrite);
    if (decision === 'blocked') {
      report.failed.add(node.path, `a ${existing?.type ?? 'thing'} stands where the folder should be`);
      return node;
    }
    if (decision === 'create' || decision === 'replace') return this.#make(node, { above, name, existing });
    const folder = above.folder?.enter(name);
    if (folder === undefined) throw new Error('a folder that exists in one that does not');
    const isWanted = this.isSelected && node.entry !== undefined;
    if (!job.isDryRun) {
      folder.removeLeftovers();
      if (isWanted && decision === 'same') folder.openUp();
    }
    return {
      ...node,
      folder,
      isBlocked: false,
      setsAttributes: (isWanted && decision === 'same') || folder.isHalfMade,
      isTouched: folder.isHalfMade,
      extras: isWanted ? this.#extras(node.path, { folder, entry: node.entry }) : undefined,
    };
  }

  #make(
    node: FolderNode,
    { above, name, existing }: { above: FolderNode; name: Buffer; existing: TargetItem | undefined },
  ): FolderNode {
    const { job, report } = this.#context;
    above.isTouched = true;
    if (job.isDryRun) {
      report.plan(node.path, existing === undefined ? 'create' : 'replace');
      return { ...node, isBlocked: false };
    }
    if (above.folder === undefined) throw new Error('a folder to be made in one that does not exist');
    if (existing !== undefined) above.folder.remove(name, { onlyEmpty: true });
    const folder = above.folder.makeFolder(name);
    return { ...node, folder, isBlocked: false, setsAttributes: true, isTouched: true };
  }

  /** Only below a source: of the folders above one, the run holds nothing but the way. */
  #extras(
    path: Buffer,
    { folder, entry }: { folder: TargetFolder | undefined; entry: Entry | undefined },
  ): Set<string> | undefined {
    const { job, header } = this.#context;
    if (!job.deletes || folder === undefined || folder.isSpared) return undefined;
    if (entry?.unreadable !== undefined) return undefined;
    const isBacked = header.sources.some((source) => isAtOrBelow(path, withoutLeadingSlash(source)));
    if (!isBacked) return undefined;
    const extras = new Set<string>();
    for (const name of folder.names()) extras.add(name.toString('latin1'));
    return extras;
  }

  #remove(node: FolderNode, folder: TargetFolder, name: Buffer): void {
    const { job, report } = this.#context;
    const path = node.path.length === 0 ? name : Buffer.concat([node.path, SLASH, name]);
    try {
      if (job.isDryRun) {
        report.deleted += folder.count(name);
        report.plan(path, 'delete');
        return;
      }
      node.isTouched = true;
      report.deleted += folder.remove(name);
    } catch (error) {
      report.notDeleted.add(path, reasonOf(error));
    }
  }

  #setAttributes(node: FolderNode, folder: TargetFolder): void {
    const { job, ports, report } = this.#context;
    if (node.entry === undefined) {
      if (folder.isNew || folder.isHalfMade)
        folder.setOwnAttributes({ ...UNLISTED, uid: folder.item.uid, gid: folder.item.gid });
      return;
    }
    const attributes = attributesOf(node.entry, { names: ports.target, numericOwner: job.numericOwner });
    try {
      if (!node.isTouched && folder.has(attributes, { item: folder.item })) return;
      if (!node.isTouched) report.mended++;
      if (job.isDryRun) {
        report.plan(node.path, 'attributes');
        return;
      }
      report.refuse(node.path, folder.setOwnAttributes(attributes));
    } catch (error) {
      report.failed.add(node.path, reasonOf(error));
    }
  }
}

/** In words, from an errno name. */
export function unreadable(code: string): string {
  return `the backup could not read it (${code})`;
}

const SLASH = Buffer.from('/');
/** For a folder on the way that the run does not list. */
const UNLISTED = { mode: 0o755, mtimeNs: 0n, xattrs: [] };

function withoutLeadingSlash(path: Buffer): Buffer {
  return path[0] === 0x2f ? path.subarray(1) : path;
}
