import type { EntryOrigin } from './entry-origin.ts';

/** What a path is. Sockets, fifos and devices live in the manifest alone; the storage holds no node for them. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'char' | 'block';

/** One line of a POSIX ACL (acl(5)); `id` and `name` only for `user` and `group`. `perms` is 0 to 7. */
export interface AclEntry {
  readonly tag: 'user-obj' | 'user' | 'group-obj' | 'group' | 'mask' | 'other';
  readonly perms: number;
  readonly id?: number;
  readonly name?: string;
}

/** ACLs that say more than the mode does; a directory may have a default one too. */
export interface Acl {
  readonly access?: readonly AclEntry[];
  readonly default?: readonly AclEntry[];
}

/** An extended attribute as bytes (xattr(7)); POSIX ACLs are not among them, capabilities and labels are. */
export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** A stretch of a file that holds data; what lies between extents is a hole and reads as zeros. */
export interface Extent {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * How the entry lies in the run's folder:
 * `own` at its own path, or where names are hidden at what that becomes (`at`, of no meaning to the manifest) ·
 * `elsewhere` at another path below the run (the own one is too long for the storage) ·
 * `manifest` not at all: the manifest says everything.
 */
export type Stored =
  | { readonly kind: 'own'; readonly at?: Buffer }
  | { readonly kind: 'elsewhere'; readonly at: Buffer }
  | { readonly kind: 'manifest' };

/** Everything known of one path of a run: one line of the manifest. */
export interface Entry {
  /** Bytes, relative to `/`, components separated by 0x2f; never empty. */
  readonly path: Buffer;
  readonly type: EntryType;
  /** Content length of a file, else 0. */
  readonly sizeBytes: number;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names as the server knew them; absent when it had none. */
  readonly user?: string;
  readonly group?: string;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  /** Index into the header's `filesystems`. */
  readonly filesystem: number;
  /** `st_nlink`. Non-directories with more than one link and the same (filesystem, inode) are one hard-link group. */
  readonly linkCount: number;
  readonly device?: { readonly major: number; readonly minor: number };
  /** Target of a symlink, bytes. */
  readonly target?: Buffer;
  readonly acl?: Acl;
  /** Sorted by name, bytes. */
  readonly xattrs?: readonly Xattr[];
  /** Present if the file has holes: its data extents, ascending, not touching; may be empty. */
  readonly extents?: readonly Extent[];
  /** SHA-256 (32 bytes) of the whole content, holes read as zeros. Files only. */
  readonly sha256?: Buffer;
  /** Bytes that the file has on the storage, sealed; there for all files that lie on the storage of a sealed run, and for no others. */
  readonly sealedBytes?: number;
  readonly stored: Stored;
  /**
   * True when the file changed while, or so shortly before, it was read that times can't prove it unchanged later, or when its
   * ACLs and attributes could not be read.
   */
  readonly unsettled?: boolean;
  /** The errno name (`EACCES`, `EIO`) when content, or a directory's names, could not be read. */
  readonly unreadable?: string;
  /** Of a directory, where names are hidden: what the names in it hang on; 16 bytes. */
  readonly nameId?: Buffer;
  /** Where its line is from, for whoever writes it again; see `originOf`. Not part of what the entry says. */
  readonly origin?: EntryOrigin;
  /** When the file system made its inode, where that is known: inode numbers are given again. Not part of what the entry says. */
  readonly bornNs?: bigint | undefined;
}

/** A file system that entries were read from. */
export interface SourceFilesystem {
  /** Where it is mounted on the server, bytes, absolute. */
  readonly mountPoint: Buffer;
  /** As in /proc/self/mountinfo: `ext4`, `xfs`. */
  readonly type: string;
}

/** First line of a manifest. */
export interface ManifestHeader {
  readonly run: string;
  /** The run whose unchanged files this one links, and the digest in that run's trailer (hex); null for a first run. */
  readonly parent: string | null;
  readonly parentDigest: string | null;
  readonly host: string;
  /** Version of the program that wrote it. */
  readonly agent: string;
  readonly startedAtMs: number;
  /** Absolute paths that were asked for, bytes. */
  readonly sources: readonly Buffer[];
  readonly filesystems: readonly SourceFilesystem[];
  /** Of a sealed run: ids (16 hex digits, ascending) of the keys that every file of the run is sealed to. */
  readonly recipients?: readonly string[];
  /** Of a sealed run whose names are hidden: the account's name key, 32 bytes. */
  readonly nameKey?: Buffer;
}

/** Counted by the writer from the entries. */
export interface ManifestCounts {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly others: number;
  readonly unreadable: number;
  /** Sum of `sizeBytes` over all files, a hard-link group counted once for each name. */
  readonly bytes: number;
}

/** Last line of a manifest. */
export interface ManifestTrailer {
  readonly finishedAtMs: number;
  readonly counts: ManifestCounts;
  /** Content bytes that this run added to the account. */
  readonly addedBytes: number;
  /** SHA-256 (hex) of every byte of the uncompressed stream before this line. */
  readonly digest: string;
}
