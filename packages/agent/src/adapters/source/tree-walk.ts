import { closeSync, constants, readlinkSync, realpathSync } from 'node:fs';
import { ManifestError } from '@bakker/impl-format';
import type { Entry, FileFacts } from '@bakker/impl-format';
import { AgentError } from '../../errors.ts';
import type { EarlierEntries, LeftOutFolder, ScanPlan } from '../../ports/source-tree.ts';
import { detailBytes } from '../../source/detail-bytes.ts';
import { mapSources, type PlannedSource, type SourceNode } from '../../source/source-map.ts';
import {
  AS_KNOWN,
  AS_MOUNTED,
  cString,
  dataExtents,
  errnoName,
  errnoOf,
  LibcError,
  openBeneath,
  openFolder,
} from '@bakker/linux';
import type { FolderHandle, NameService } from '@bakker/linux';
import { AttributeReader } from './attribute-reader.ts';
import { findMarker } from './markers.ts';
import { describe, type Details } from './describe.ts';
import { foundFacts, foundStat, lookAt, statAt, statOpen, type FileStat } from './file-stat.ts';
import type { FilesystemTable } from './filesystem-table.ts';
import { handleOf, openChild, readNames, writeCName, type FolderFrame } from './folder-frame.ts';
import type { SourceView } from './source-view.ts';
import { suspicious } from './suspicious.ts';

export interface WalkPorts {
  readonly filesystems: FilesystemTable;
  readonly names: NameService;
  /** What the parent run knew, to leave unchanged attributes unread. */
  readonly earlier?: EarlierEntries | undefined;
  readonly view: SourceView;
}

/** Folders held open at once; those further up are opened again when the walk comes back to them. */
const MAX_OPEN_FOLDERS = 64;
/** The manifest takes nothing longer. */
const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;
/** What the entries of one batch may hold beside the usual. */
const BATCH_DETAIL_BYTES = 4 * 1024 * 1024;
/** The kernel takes no longer paths in one call, the NUL included. */
const PATH_MAX_BYTES = 4096;

/**
 * A walk over all sources in manifest order, done in slices by `fill`. Everything is looked at relative to an open folder,
 * so that a folder swapped for a symlink in mid-walk leads nowhere else. Holds the names of one folder for each level.
 */
export class TreeWalk implements Disposable {
  readonly #onProblem: ScanPlan['onProblem'];
  readonly #filesystems: FilesystemTable;
  readonly #names: NameService;
  readonly #earlier: EarlierEntries | undefined;
  /** Relative, as entries have it. */
  readonly #leftOut: readonly LeftOutFolder[];
  readonly #root: FolderHandle;
  readonly #stack: FolderFrame[] = [];
  readonly #cName = Buffer.alloc(PATH_MAX_BYTES + 1);
  readonly #attributes: AttributeReader;
  /** Room for a path of the manifest; begins with `#pathPrefix`. */
  readonly #path = Buffer.alloc(MAX_PATH_BYTES);
  #pathPrefix: Buffer | undefined;
  readonly #facts: FileFacts = noFacts();

  constructor(plan: ScanPlan, ports: WalkPorts) {
    this.#onProblem = plan.onProblem;
    this.#leftOut = (plan.leavesOut ?? []).map((each) => ({
      ...each,
      folder: realPath(each.folder).subarray(1),
    }));
    this.#filesystems = ports.filesystems;
    this.#names = ports.names;
    this.#earlier = ports.earlier;
    const root = ports.view.at(Buffer.from('/'));
    this.#root = openFolder(root);
    const onIncomplete = (path: Buffer, problem: { code: string; message: string }): void => {
      this.#problem(path, 'incomplete', problem);
    };
    this.#attributes = new AttributeReader(root, { ...ports, onIncomplete });
    const node = mapSources(plan.sources);
    const stat = statOpen(this.#root.fd);
    if (typeof stat === 'number') throw new LibcError('statx', stat, root);
    const names = node.source === undefined ? onTheWay(node) : union(readNames(this.#root), onTheWay(node));
    this.#stack.push({
      prefix: Buffer.alloc(0),
      device: stat.device,
      look: this.#lookOn(stat.device),
      source: node.source,
      node,
      names,
      next: 0,
      handle: this.#root,
    });
  }

  /** Looks at up to `limit` names and adds their entries, fewer where these are large. False when there is nothing left. */
  fill(batch: Entry[], limit: number): boolean {
    let roomBytes = BATCH_DETAIL_BYTES;
    for (let looked = 0; looked < limit && roomBytes > 0;) {
      const frame = this.#stack.at(-1);
      if (frame === undefined) return false;
      const name = frame.names[frame.next++];
      if (name === undefined) {
        this.#leave();
        continue;
      }
      looked++;
      const entry = this.#visit(frame, name);
      if (entry === undefined) continue;
      batch.push(entry);
      roomBytes -= detailBytes(entry);
      this.#earlier?.interrupt();
    }
    return true;
  }

  [Symbol.dispose](): void {
    while (this.#stack.length > 0) this.#leave();
    this.#root[Symbol.dispose]();
  }

  #leave(): void {
    const frame = this.#stack.pop();
    if (frame?.handle !== this.#root) frame?.handle?.[Symbol.dispose]();
  }

  #visit(frame: FolderFrame, name: string): Entry | undefined {
    const node = frame.node?.below.get(name);
    const folder = this.#reach(frame, name);
    if (folder === undefined) return undefined;
    writeCName(name, this.#cName);
    const errno = lookAt(folder.fd, this.#cName, node === undefined ? frame.look : AS_MOUNTED);
    if (errno === 0 && node === undefined && this.#isTaken(frame, name)) return undefined;
    const path = pathOf(frame, name);
    if (errno !== 0) {
      this.#missed(path, { errno, isSource: node !== undefined });
      return undefined;
    }
    const stat = foundStat();
    let source = node?.source ?? frame.source;
    if (node?.source === undefined && frame.source !== undefined && isExcluded(frame.source, path, stat)) {
      if (node === undefined) return undefined;
      source = undefined; // it still leads to a source
    }
    if (path.length > MAX_PATH_BYTES || name.length > MAX_NAME_BYTES) {
      const message = `a path of ${path.length} bytes, a name of ${name.length}: longer than a backup can name`;
      this.#problem(path, 'missing', { code: 'ENAMETOOLONG', message });
      return undefined;
    }
    try {
      if (stat.type === 'directory') return this.#enter({ frame, folder, name, path, stat, source, node });
      if (node !== undefined && node.below.size > 0) throw vanished(path);
      return this.#leaf({ frame, folder, name, path, stat, source });
    } catch (error) {
      const isOfSource = error instanceof Error && errnoOf(error) !== undefined;
      if (!isOfSource || error instanceof AgentError || error instanceof ManifestError) throw error;
      this.#missed(path, { errno: error, isSource: node !== undefined });
      return undefined;
    }
  }

  /** Whether the parent's line stands for the file that was just looked at. Of an ordinary file of its folder's own rules. */
  #isTaken(frame: FolderFrame, name: string): boolean {
    const earlier = this.#earlier;
    if (earlier === undefined || frame.source === undefined || frame.source.excludes !== undefined)
      return false;
    const facts = this.#facts;
    if (foundFacts(facts) !== frame.device) return false;
    const filesystem = this.#filesystems.plainFilesystem(frame.device);
    if (filesystem === undefined || name.length > MAX_NAME_BYTES) return false;
    facts.filesystem = filesystem;
    facts.user = this.#names.userName(facts.uid);
    facts.group = this.#names.groupName(facts.gid);
    const path = this.#path;
    const prefixBytes = frame.prefix.length;
    const pathBytes = prefixBytes + name.length;
    if (pathBytes > MAX_PATH_BYTES) return false;
    if (this.#pathPrefix !== frame.prefix) {
      frame.prefix.copy(path);
      this.#pathPrefix = frame.prefix;
    }
    this.#cName.copy(path, prefixBytes, 0, name.length);
    return earlier.take(path, pathBytes, facts);
  }

  /** The open folder of a frame; if it can't be opened again, the rest of it is given up, with a word. */
  #reach(frame: FolderFrame, name: string): FolderHandle | undefined {
    try {
      return handleOf(frame, this.#root);
    } catch (error) {
      if (!(error instanceof LibcError)) throw error;
      if (frame.node !== undefined) throw vanished(pathOf(frame, name));
      const message = 'the folder went away while it was read';
      this.#problem(frame.prefix.subarray(0, -1), 'missing', { code: error.code, message });
      frame.next = frame.names.length;
      return undefined;
    }
  }

  #leaf(found: Omit<Found, 'node'>): Entry | undefined {
    const { frame, folder, name, path, stat, source } = found;
    if (
      source !== undefined &&
      source.rules.oneFilesystem &&
      stat.device !== frame.device &&
      // an overlay whose layers are several file systems shows their devices for everything but folders
      stat.isMountRoot !== false &&
      source === frame.source
    ) {
      this.#skipped(path, 'other-filesystem', 'a file of another file system is mounted here');
      return undefined;
    }
    if (stat.sizeBytes > Number.MAX_SAFE_INTEGER) {
      this.#problem(path, 'missing', { code: 'EFBIG', message: 'is larger than a backup can say' });
      return undefined;
    }
    if (stat.device !== frame.device) this.#filesystems.meetLayer(stat.device, frame.device);
    const attributes = this.#attributes.read(found);
    const target = stat.type === 'symlink' ? readlinkSync(folder.at(bytes(name)), 'buffer') : undefined;
    const extents =
      stat.type === 'file' && stat.allocatedBytes < stat.sizeBytes
        ? this.#extents(folder, name, stat)
        : undefined;
    return this.#entry(path, stat, {
      ...attributes,
      ...(target === undefined ? undefined : { target }),
      ...(extents === undefined ? undefined : { extents }),
    });
  }

  /** The entry of a folder; what is in it comes next. */
  #enter(found: Found): Entry {
    const { frame, folder, path, node, name } = found;
    const isMounted = found.stat.device !== frame.device;
    if (isMounted) this.#filesystems.meet(found.stat.device, absolute(path), frame.device);
    const staysOut = this.#staysOut(found);
    const isUnasked = staysOut && this.#filesystems.isServed(found.stat.device);
    let { stat } = found;
    if (isUnasked) stat = asPlace(stat);
    else if (isMounted && !staysOut) stat = lookAgain(folder, name);
    const attributes = isUnasked ? {} : this.#attributes.read({ ...found, stat });
    let source = staysOut || this.#isLeftOut(path, node) ? undefined : found.source;
    let names: readonly string[] = node === undefined ? [] : onTheWay(node);
    let unreadable: string | undefined;
    writeCName(name, this.#cName);
    let handle: FolderHandle | undefined;
    if (source !== undefined || names.length > 0) handle = openChild(folder, this.#cName);
    if (source !== undefined && handle !== undefined) {
      try {
        const all = readNames(handle);
        const marker = source.rules.honourMarkers ? findMarker(handle, all) : undefined;
        if (marker === undefined) names = union(all, names);
        else {
          this.#skipped(path, marker, `left out but for itself, because it has a ${marker}`);
          names = union([marker], names);
          source = undefined;
        }
      } catch (error) {
        unreadable = errnoOf(error);
        if (unreadable === undefined) throw error;
        source = undefined;
        const message = 'the names in this folder could not be read';
        this.#problem(path, 'unreadable', { code: unreadable, message });
      }
    }
    if (handle !== undefined && names.length > 0) {
      const prefix = Buffer.allocUnsafe(path.length + 1);
      path.copy(prefix);
      prefix[path.length] = SLASH;
      this.#push({
        prefix,
        device: stat.device,
        look: this.#lookOn(stat.device),
        source,
        node,
        names,
        next: 0,
        handle,
      });
    } else handle?.[Symbol.dispose]();
    return this.#entry(path, stat, {
      ...attributes,
      ...(unreadable === undefined ? undefined : { unreadable }),
    });
  }

  /**
   * What is mounted in a folder is seen by what the kernel knows of it: its server may be dead. That of the folder itself answers;
   * exports within exports are mounted when they are asked for, and opening one unseen would lead to another file system.
   */
  #lookOn(device: number): number {
    return this.#filesystems.isServed(device) ? AS_MOUNTED : AS_KNOWN;
  }

  #push(frame: FolderFrame): void {
    this.#stack.push(frame);
    const far = this.#stack.at(-1 - MAX_OPEN_FOLDERS);
    if (far === undefined || far.handle === this.#root) return;
    far.handle?.[Symbol.dispose]();
    far.handle = undefined;
  }

  /** Whether a folder is kept as an empty one: something else is mounted on it. */
  #staysOut({ frame, path, stat, source, node }: Found): boolean {
    if (node?.source !== undefined || stat.device === frame.device) return false;
    if (source === undefined) return true;
    if (!source.rules.oneFilesystem && !this.#filesystems.isPseudo(stat.device)) return false;
    this.#skipped(path, 'other-filesystem', 'left out but for itself: another file system is mounted here');
    return true;
  }

  #isLeftOut(path: Buffer, node: Found['node']): boolean {
    const leftOut = this.#leftOut.find(({ folder }) => folder.equals(path));
    if (leftOut === undefined || (leftOut.unlessSource && node?.source !== undefined)) return false;
    this.#skipped(path, leftOut.code, `left out but for itself: ${leftOut.why}`);
    return true;
  }

  /** Only asked of files with fewer blocks than bytes. That one can't be opened is noticed when it is read. */
  #extents(folder: FolderHandle, name: string, stat: FileStat): Entry['extents'] {
    let fd: number | undefined;
    try {
      fd = openBeneath(folder, bytes(name), { flags: constants.O_RDONLY | constants.O_NONBLOCK });
      return dataExtents(fd, stat.sizeBytes);
    } catch (error) {
      if (error instanceof LibcError) return undefined;
      throw error;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  #entry(path: Buffer, stat: FileStat, details: Details): Entry {
    const identity = this.#filesystems.identity(stat.device, stat.inode);
    return describe(path, stat, { identity, details, names: this.#names });
  }

  /** A name that can't be looked at. That it went away since its folder was read is nothing to speak of, unless it is a source. */
  #missed(path: Buffer, { errno, isSource }: { errno: number | Error; isSource: boolean }): void {
    const code = typeof errno === 'number' ? errnoName(errno) : (errnoOf(errno) ?? 'EIO');
    if (isSource) throw vanished(path, typeof errno === 'number' ? undefined : errno);
    if (code !== 'ENOENT') this.#problem(path, 'missing', { code, message: 'could not be looked at' });
  }

  #problem(
    path: Buffer,
    kind: 'unreadable' | 'missing' | 'incomplete',
    { code, message }: { code: string; message: string },
  ): void {
    this.#onProblem({ path, kind, code, message });
  }

  #skipped(path: Buffer, code: string, message: string): void {
    this.#onProblem({ path, kind: 'skipped', code, message });
  }
}

/** A name that was found, and what is known of it. */
interface Found {
  readonly frame: FolderFrame;
  readonly folder: FolderHandle;
  readonly name: string;
  readonly path: Buffer;
  readonly stat: FileStat;
  readonly source: PlannedSource | undefined;
  readonly node: SourceNode | undefined;
}

const SLASH = 0x2f;

function isExcluded({ excludes, prefixBytes }: PlannedSource, path: Buffer, { type }: FileStat): boolean {
  return excludes !== undefined && excludes.excludes(path.subarray(prefixBytes), type === 'directory');
}

function onTheWay(node: SourceNode): string[] {
  return [...node.below.keys()].sort();
}

/** Both lists in order, without doubles: a source that is there is in both, one that vanished is noticed when it is visited. */
function union(all: readonly string[], more: readonly string[]): readonly string[] {
  const missing = more.filter((name) => !all.includes(name));
  return missing.length === 0 ? all : [...all, ...missing].sort();
}

/** With the server asked, if there is one. @throws LibcError */
function lookAgain(folder: FolderHandle, name: string): FileStat {
  const stat = statAt(folder.fd, cString(bytes(name)), AS_MOUNTED);
  if (typeof stat === 'number') throw new LibcError('statx', stat, bytes(name));
  return stat;
}

/** A folder to mount on. Of one that no program was asked about yet, the kernel knows only that it is there. */
function asPlace(stat: FileStat): FileStat {
  return stat.mode === 0 ? { ...stat, mode: 0o755 } : stat;
}

function vanished(path: Buffer, cause?: unknown): AgentError {
  const hint = 'see that it is there and mounted, then run the backup again';
  return suspicious(path, 'can no longer be reached', { hint, cause });
}

function pathOf({ prefix }: FolderFrame, name: string): Buffer {
  const path = Buffer.allocUnsafe(prefix.length + name.length);
  prefix.copy(path);
  path.write(name, prefix.length, 'latin1');
  return path;
}

function noFacts(): FileFacts {
  return {
    mode: 0,
    uid: 0,
    gid: 0,
    user: undefined,
    group: undefined,
    sizeBytes: 0,
    mtimeS: 0,
    mtimeNs: 0,
    ctimeS: 0,
    ctimeNs: 0,
    inode: 0,
    filesystem: 0,
    linkCount: 0,
  };
}

function realPath(path: Buffer): Buffer {
  try {
    return realpathSync(path, 'buffer');
  } catch {
    return path;
  }
}

function absolute(path: Buffer): Buffer {
  return Buffer.concat([Buffer.of(SLASH), path]);
}

function bytes(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}
