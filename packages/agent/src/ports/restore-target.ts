import type { Acl, EntryType, Extent, Xattr } from '@bakker/impl-format';

/** What a restored path should say about itself. Ids are already those of this machine, in ACLs too. */
export interface Attributes {
  readonly uid: number;
  readonly gid: number;
  /** 0 to 0o7777. Means nothing for a symlink. */
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly acl?: Acl | undefined;
  readonly xattrs: readonly Xattr[];
}

/** What stands at a name of the target now. Symlinks are not followed. */
export interface TargetItem {
  readonly type: EntryType;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly linkCount: number;
  /** Identity of the file: these two together. */
  readonly filesystem: bigint;
  readonly inode: bigint;
  /** For `char` and `block`. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** Something that this process was not allowed to set, or the file system can't keep. The path itself is there. */
export interface Refusal {
  readonly what: 'owner' | 'setuid bits' | 'mode' | 'ACL' | 'extended attribute' | 'capability' | 'time';
  /** errno name. */
  readonly code: string;
}

/** What to make at a name. */
export interface Placing {
  readonly attributes: Attributes;
  /** True: takes the place of what has the name, by rename. False: nothing has the name, and making it fails if something has. */
  readonly replaces: boolean;
  /** The name must never stand for something half, also where the process is killed: it is made beside it, and renamed. */
  readonly appearsWhole?: boolean;
}

/** A large file under way, beside its final name. Disposing one that was not committed removes it. */
export interface TargetFile extends Disposable {
  /** The bytes may be used again once this resolves. @throws the errno error */
  write(offsetBytes: number, bytes: Buffer): Promise<void>;
  /** Sets length and attributes and gives the file its name. @throws the errno error */
  commit(sizeBytes: number, placing: Placing): readonly Refusal[];
}

/**
 * A folder of the target, held open. Names are single components; nothing is reached through a symlink. Every method may
 * throw an error with `code`, an errno name. Synchronous, because local calls are quicker so.
 */
export interface TargetFolder extends Disposable {
  /** Made by this restore, and so empty at first. */
  readonly isNew: boolean;
  /** A restore that was interrupted made it, and did not come to its attributes. */
  readonly isHalfMade: boolean;
  /** As of the opening. */
  readonly item: TargetItem;
  /** Nothing of it is removed: the runs of an account lie in it, or what bakker keeps on this machine. */
  readonly isSpared: boolean;
  inspect(name: Buffer): TargetItem | undefined;
  /** All names but `.` and `..`, without what an interrupted restore left. */
  names(): Iterable<Buffer>;
  /** Removes the unfinished files that an interrupted restore left here. */
  removeLeftovers(): void;
  /** Whether a name (or, without one, the folder itself) that is `item` has exactly these attributes. */
  has(attributes: Attributes, of: { readonly name?: Buffer; readonly item: TargetItem }): boolean;
  /** Opens the folder at a name; throws `ENOTDIR` or `ELOOP` for anything else. */
  enter(name: Buffer): TargetFolder;
  /** Makes a folder that only this user may use until its attributes are set. */
  makeFolder(name: Buffer): TargetFolder;
  /** Makes this folder writable for this process, where its mode forbids it. */
  openUp(): void;
  /** Sets the attributes of the folder itself. */
  setOwnAttributes(attributes: Attributes): readonly Refusal[];
  /** Sets the attributes of an existing name in place. Throws `ESTALE` if a file there is no longer `item`. */
  setAttributes(name: Buffer, item: TargetItem, attributes: Attributes): readonly Refusal[];
  /** A small file at once. With `extents`, the rest of it is left as holes. */
  placeFile(
    name: Buffer,
    content: { readonly bytes: Buffer; readonly extents?: readonly Extent[] | undefined },
    placing: Placing,
  ): readonly Refusal[];
  /**
   * Like `placeFile`, perhaps on another thread. The folder must stay open until it is done. Rejects with the errno error.
   * @param content - `sha256`: that it should have, if nobody looked yet
   * @returns `different` if it has not; then nothing was done
   */
  placeFileSoon(
    name: Buffer,
    content: {
      readonly bytes: Buffer;
      readonly extents?: readonly Extent[] | undefined;
      readonly sha256?: Buffer | undefined;
    },
    placing: Placing,
  ): Promise<readonly Refusal[] | 'different'>;
  /** A large file in pieces. */
  openFile(name: Buffer): TargetFile;
  placeSymlink(name: Buffer, target: Buffer, placing: Placing): readonly Refusal[];
  placeNode(
    name: Buffer,
    node: {
      readonly type: Extract<EntryType, 'fifo' | 'socket' | 'char' | 'block'>;
      readonly device?: { readonly major: number; readonly minor: number } | undefined;
    },
    placing: Placing,
  ): readonly Refusal[];
  /** Gives a file a second name here. */
  placeLink(
    name: Buffer,
    from: { readonly folder: TargetFolder; readonly name: Buffer },
    placing: Omit<Placing, 'attributes'>,
  ): void;
  readLink(name: Buffer): Buffer;
  /** Content of a file in pieces that are valid until the next one. Throws `ESTALE` if it is no longer `item`. */
  read(name: Buffer, item?: TargetItem): Generator<Buffer>;
  /** How many names `remove` would remove: 1, and all below a folder. */
  count(name: Buffer): number;
  /**
   * Removes a name; a folder with everything below it, unless `onlyEmpty`. Throws `EXDEV` before it enters another file
   * system, `EBUSY` before one that is spared, `ENOTEMPTY`. Returns how many names are gone.
   */
  remove(name: Buffer, options?: { readonly onlyEmpty?: boolean }): number;
}

/** The folder that a restore writes below. Nothing outside it is reachable through this. */
export interface TargetTree extends AsyncDisposable {
  /** Absolute path, for messages. */
  readonly path: string;
  /** Lives as long as the tree. */
  readonly root: TargetFolder;
  /** Opens a folder below the root by its path, no symlink followed. Throws the errno error. */
  folderAt(path: Buffer): TargetFolder;
  /** Everything written is on disk when this resolves. Throws the errno error. */
  flush(): Promise<void>;
}

/** This machine's file system, as a restore writes it. */
export interface RestoreTarget {
  /**
   * Opens the folder that the operator named; it is made if it is not there and `create` is set.
   * @returns undefined if it is not there and may not be made
   * @throws AgentError RESTORE_FAILED if it can't be opened, or is no folder
   */
  open(path: string, options: { readonly create: boolean }): TargetTree | undefined;
  /** Whether this process may give files to other users. */
  readonly mayGiveAway: boolean;
  userId(name: string): number | undefined;
  groupId(name: string): number | undefined;
}
