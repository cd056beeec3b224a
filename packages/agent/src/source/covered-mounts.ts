import { isAtOrBelow } from '@bakker/impl-format';
import type { SourceFilesystem } from '@bakker/impl-format';
import type { SourceRules } from '../ports/source-tree.ts';
import { parseExcludeRules } from './exclude-rules.ts';

const SLASH = 0x2f;
/** Those that a server's own files lie on; not what containers, images and other machines bring. */
const DISK_TYPES: ReadonlySet<string> = new Set([
  'bcachefs',
  'btrfs',
  'exfat',
  'ext2',
  'ext3',
  'ext4',
  'f2fs',
  'jfs',
  'reiserfs',
  'vfat',
  'xfs',
  'zfs',
]);

/** Where disks are mounted below a source that are not read with it, since it stays on its own file system; without those that are excluded. */
export function unreadDisks(
  sources: readonly SourceRules[],
  filesystems: readonly SourceFilesystem[],
): readonly Buffer[] {
  return filesystems
    .filter(({ mountPoint, type }) => {
      const around = innermostAround(mountPoint, sources);
      return (
        DISK_TYPES.has(type) &&
        around !== undefined &&
        !isBackedUp(mountPoint, sources) &&
        // excluded itself, or all that is in it
        !isExcluded(Buffer.concat([mountPoint, Buffer.from('/anything')]), around)
      );
    })
    .map(({ mountPoint }) => mountPoint);
}

/** Whether what is mounted there holds a source, or is read by the one that it lies in. */
export function isBackedUp(mountPoint: Buffer, sources: readonly SourceRules[]): boolean {
  if (sources.some(({ path }) => isAtOrBelow(path, mountPoint))) return true;
  const innermost = innermostAround(mountPoint, sources);
  return innermost?.oneFilesystem === false && !isExcluded(mountPoint, innermost);
}

function isExcluded(folder: Buffer, { path, excludes }: SourceRules): boolean {
  const rules = parseExcludeRules(excludes);
  const start = path.length === 1 ? 1 : path.length + 1;
  for (let end = start; rules && end < folder.length;) {
    const slash = folder.indexOf(SLASH, end + 1);
    end = slash < 0 ? folder.length : slash;
    if (rules.excludes(folder.subarray(start, end), true)) return true;
  }
  return false;
}

function innermostAround(mountPoint: Buffer, sources: readonly SourceRules[]): SourceRules | undefined {
  const around = sources.filter(({ path }) => isAtOrBelow(mountPoint, path));
  return around.toSorted((a, b) => b.path.length - a.path.length)[0];
}
