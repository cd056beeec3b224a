import { readFileSync } from 'node:fs';

/** One line of /proc/self/mountinfo. */
export interface Mount {
  /** Absolute, bytes. */
  readonly mountPoint: Buffer;
  /** `ext4`, `fuse.sshfs`. */
  readonly type: string;
  /** `st_dev` of what lies below it, except on btrfs, whose subvolumes have numbers of their own. */
  readonly major: number;
  readonly minor: number;
  /** Folder of the file system that is mounted: not `/` for a bind mount. */
  readonly root: Buffer;
  /** What was mounted: a device's path, `pool/dataset`, `server:/export`. */
  readonly source: string;
  /** Mounts of one group see what is mounted below each other; undefined for a private one. */
  readonly peerGroup: number | undefined;
}

/** What is mounted now, in the order of `parseMounts`. @throws errno error */
export function readMounts(): Mount[] {
  return parseMounts(readFileSync('/proc/self/mountinfo'));
}

/**
 * Pure: the lines as proc(5) describes them, in the order of mounting, but what something is mounted on first: an initrd mounts
 * `/proc` and `/run` before the root. So a later mount hides those at or below its point.
 */
export function parseMounts(text: Buffer): Mount[] {
  const lines = new Map<string, { readonly parent: string; readonly mount: Mount }>();
  // Each byte one character, because mount points are bytes.
  for (const line of text.toString('latin1').split('\n')) {
    const [before, after] = line.split(' - ', 2);
    const [id, parent, device, root, mountPoint, , ...tags] = (before ?? '').split(' ');
    const [major, minor] = (device ?? '').split(':').map(Number);
    const [type, source = ''] = after?.split(' ', 2) ?? [];
    if (id === undefined || parent === undefined) continue;
    if (root === undefined || mountPoint === undefined || type === undefined) continue;
    if (major === undefined || minor === undefined) continue;
    const mount = {
      mountPoint: unescape(mountPoint),
      type: unescape(type).toString(),
      major,
      minor,
      root: unescape(root),
      source: unescape(source).toString(),
      peerGroup: peerGroupOf(tags),
    };
    lines.set(id, { parent, mount });
  }
  const mounts = new Set<Mount>();
  for (const start of lines.values()) {
    const way: Mount[] = [];
    // up to a mount that is told already, or to the root, whose own parent is not listed
    for (
      let line: typeof start | undefined = start;
      line && !mounts.has(line.mount) && !way.includes(line.mount);
    ) {
      way.push(line.mount);
      line = lines.get(line.parent);
    }
    for (const mount of way.toReversed()) mounts.add(mount);
  }
  return [...mounts];
}

/** Whether a file system is a window on the kernel, with nothing in it to keep. tmpfs is none: files in it are real. */
export function isPseudo(type: string): boolean {
  return PSEUDO.has(type);
}

/** Whether a file system asks a server, or a program, for what is in it: one that may never answer. */
export function isServed(type: string): boolean {
  return SERVED.test(type);
}

const SERVED =
  /^(fuse|fuseblk|fuse\..*|nfs4?|cifs|smb3|9p|afs|beegfs|ceph|coda|gfs2|glusterfs|gpfs|lustre|ocfs2|orangefs|vboxsf|virtiofs)$/;

function peerGroupOf(tags: readonly string[]): number | undefined {
  const shared = tags.find((tag) => tag.startsWith('shared:'));
  return shared === undefined ? undefined : Number(shared.slice('shared:'.length));
}

/** Space, tab, newline and backslash are written as three octal digits. */
function unescape(field: string): Buffer {
  const plain = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(plain, 'latin1');
}

const PSEUDO: ReadonlySet<string> = new Set([
  'autofs',
  'binder',
  'binfmt_misc',
  'bpf',
  'cgroup',
  'cgroup2',
  'configfs',
  'debugfs',
  'devpts',
  'devtmpfs',
  'efivarfs',
  'functionfs',
  'fuse.gvfsd-fuse',
  'fuse.lxcfs',
  'fuse.portal',
  'fusectl',
  'hugetlbfs',
  'mqueue',
  'nfsd',
  'nsfs',
  'proc',
  'pstore',
  'resctrl',
  'rpc_pipefs',
  'securityfs',
  'selinuxfs',
  'smackfs',
  'sysfs',
  'tracefs',
]);
