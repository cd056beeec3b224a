import type { Acl, Entry, Xattr } from '@bakker/impl-format';
import { decodeAcl, isMinimalAcl, nameAcl } from '../../source/posix-acl.ts';
import { getXattrOf, LibcError, listXattrsOf } from '@bakker/linux';
import type { NameService } from '@bakker/linux';
import type { FileStat } from './file-stat.ts';

/** ACLs and other extended attributes of one file. */
export interface Attributes {
  readonly acl?: Acl;
  readonly xattrs?: readonly Xattr[];
}

/** What an entry says beside its stat. */
export interface Details extends Attributes {
  readonly target?: Buffer;
  readonly extents?: Entry['extents'];
  readonly unreadable?: string;
  readonly unsettled?: boolean;
}

/** The entry of a path. `identity` places the inode among the file systems of the survey. */
export function describe(
  path: Buffer,
  stat: FileStat,
  about: { identity: { filesystem: number; inode: bigint }; details: Details; names: NameService },
): Entry {
  const { type, uid, gid } = stat;
  const user = about.names.userName(uid);
  const group = about.names.groupName(gid);
  const { target, acl, xattrs, extents, unreadable, unsettled } = about.details;
  const isPlain = target === undefined && acl === undefined && xattrs === undefined && extents === undefined;
  if (
    isPlain &&
    unreadable === undefined &&
    unsettled !== true &&
    user !== undefined &&
    group !== undefined
  ) {
    // nearly every entry: without the spreads below it takes a third of the time
    if (type === 'file' || type === 'directory') {
      return {
        path,
        type,
        sizeBytes: type === 'file' ? stat.sizeBytes : 0,
        mode: stat.mode,
        uid,
        gid,
        user,
        group,
        mtimeNs: stat.mtimeNs,
        ctimeNs: stat.ctimeNs,
        inode: about.identity.inode,
        filesystem: about.identity.filesystem,
        linkCount: stat.linkCount,
        stored: OWN,
        bornNs: stat.bornNs,
      };
    }
  }
  return {
    path,
    type,
    sizeBytes: type === 'file' ? stat.sizeBytes : 0,
    mode: stat.mode,
    uid,
    gid,
    ...(user === undefined ? undefined : { user }),
    ...(group === undefined ? undefined : { group }),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    inode: about.identity.inode,
    filesystem: about.identity.filesystem,
    linkCount: stat.linkCount,
    bornNs: stat.bornNs,
    ...(type === 'char' || type === 'block'
      ? { device: { major: stat.rdevMajor, minor: stat.rdevMinor } }
      : undefined),
    ...(target === undefined ? undefined : { target }),
    ...(acl === undefined ? undefined : { acl }),
    ...(xattrs === undefined ? undefined : { xattrs }),
    ...(extents === undefined ? undefined : { extents }),
    stored: type === 'file' || type === 'directory' || type === 'symlink' ? OWN : MANIFEST,
    ...(unsettled === true ? { unsettled } : undefined),
    ...(unreadable === undefined ? undefined : { unreadable }),
  };
}

/**
 * Reads the ACLs and extended attributes of an open file, or of a path that ends in NUL (a symlink is not followed).
 *
 * @throws LibcError, `E2BIG` if they are more than an entry takes; AclError
 */
export function readAttributes(file: number | Buffer, names: NameService): Attributes {
  const found = listXattrsOf(file);
  if (found.length === 0) return NONE;
  let acl: Acl = {};
  const xattrs: Xattr[] = [];
  let roomBytes = MAX_ATTRIBUTES_BYTES;
  for (const name of found.sort((a, b) => a.compare(b))) {
    const value = getXattrOf(file, name);
    if (value === undefined) continue; // removed since it was listed
    roomBytes -= name.length + value.length;
    if (roomBytes < 0) throw new LibcError('getxattr', E2BIG);
    if (name.equals(ACL_ACCESS)) {
      const entries = decodeAcl(value);
      if (!isMinimalAcl(entries)) acl = { ...acl, access: nameAcl(entries, names) };
    } else if (name.equals(ACL_DEFAULT)) {
      acl = { ...acl, default: nameAcl(decodeAcl(value), names) };
    } else xattrs.push({ name, value });
  }
  return {
    ...(acl.access === undefined && acl.default === undefined ? undefined : { acl }),
    ...(xattrs.length === 0 ? undefined : { xattrs }),
  };
}

const NONE: Attributes = {};
const E2BIG = 7;
/**
 * XFS and btrfs give each user room for hundreds of megabytes at one file. As base64, and with the most that there can be of holes,
 * this much fits into a line of a manifest.
 */
const MAX_ATTRIBUTES_BYTES = 8 * 1024 * 1024;
const OWN = { kind: 'own' } as const;
const MANIFEST = { kind: 'manifest' } as const;
const ACL_ACCESS = Buffer.from('system.posix_acl_access');
const ACL_DEFAULT = Buffer.from('system.posix_acl_default');
