import { isAtOrBelow } from '@bakker/impl-format';
import type { SourceFilesystem } from '@bakker/impl-format';
import { crc32 } from 'node:zlib';
import { AT_FDCWD, cString, isPseudo, isServed, readMounts } from '@bakker/linux';
import type { Mount } from '@bakker/linux';
import { deviceKey, statAt } from './file-stat.ts';
import type { SourceView } from './source-view.ts';

/** Which of the survey's file systems a device is. */
interface Known {
  readonly filesystem: number;
  readonly isPseudo: boolean;
  /** Its server may not answer. */
  readonly isServed: boolean;
  /** Mixed into inode numbers; 0 leaves them as they are. */
  readonly salt: bigint;
}

/** The file systems of a scan, by the device numbers that stat shows. */
export class FilesystemTable {
  readonly filesystems: readonly SourceFilesystem[];
  readonly #byDevice = new Map<number, Known>();
  readonly #view: SourceView;

  /** @param paths - absolute: whose own file system, and everything mounted below, is listed */
  constructor(paths: readonly Buffer[], view: SourceView) {
    this.#view = view;
    const filesystems: SourceFilesystem[] = [];
    for (const mount of relevantMounts(paths, view)) {
      const { mountPoint, type } = mount;
      const device = deviceOf(mount, view);
      if (device === undefined || this.#byDevice.has(device)) continue;
      this.#byDevice.set(device, { filesystem: filesystems.length, ...kindOf(type), salt: 0n });
      filesystems.push({ mountPoint, type });
    }
    this.filesystems = filesystems;
  }

  isPseudo(device: number): boolean {
    return this.#byDevice.get(device)?.isPseudo === true;
  }

  /** Whether a server has to be asked for what is on it, which may never answer. */
  isServed(device: number): boolean {
    return this.#byDevice.get(device)?.isServed === true;
  }

  /** How entries on this device name their file system and inode. Devices never met count as the first file system. */
  identity(device: number, inode: bigint): { filesystem: number; inode: bigint } {
    const known = this.#byDevice.get(device);
    if (known === undefined) return { filesystem: 0, inode };
    return { filesystem: known.filesystem, inode: inode ^ known.salt };
  }

  /** The file system of a device whose inode numbers are told as they are; undefined for any other. */
  plainFilesystem(device: number): number | undefined {
    const known = this.#byDevice.get(device);
    return known?.salt === 0n ? known.filesystem : undefined;
  }

  /**
   * A file with another device than its folder was met, which is no mount: a layer of an overlay. Its inode numbers may be those
   * of another layer's files, too.
   */
  meetLayer(device: number, around: number): void {
    if (this.#byDevice.has(device)) return;
    const known = this.#byDevice.get(around) ?? UNKNOWN;
    this.#byDevice.set(device, { ...known, salt: saltOf(Buffer.from(String(device))) });
  }

  /**
   * A folder with a device of its own was met that the survey did not list: mounted since, or a btrfs subvolume, which
   * is no mount. Its inode numbers repeat those of the file system around it, so they are mixed with its path: entries
   * of two subvolumes never look like links of one file.
   *
   * @param path - absolute
   */
  meet(device: number, path: Buffer, around: number): void {
    if (this.#byDevice.has(device)) return;
    const place = this.#view.at(path);
    const mount = readMounts().findLast(({ mountPoint }) => mountPoint.equals(place));
    this.#byDevice.set(device, {
      filesystem: this.#byDevice.get(around)?.filesystem ?? 0,
      ...kindOf(mount?.type ?? ''),
      salt: saltOf(path),
    });
  }
}

const UNKNOWN: Omit<Known, 'salt'> = { filesystem: 0, isPseudo: false, isServed: false };

function kindOf(type: string): Pick<Known, 'isPseudo' | 'isServed'> {
  return { isPseudo: isPseudo(type), isServed: isServed(type) };
}

/** The number that stat shows of what lies there; undefined if that can't be looked at. */
function deviceOf({ mountPoint, type, major, minor }: Mount, view: SourceView): number | undefined {
  // Of a dead server nobody asks, not even by a path that leads through another mount of it.
  if (isServed(type)) return deviceKey(major, minor);
  // Not mountinfo's own number: on btrfs they differ. A bind mount is the file system that it shows.
  const stat = statAt(AT_FDCWD, cString(view.at(mountPoint)));
  return typeof stat === 'number' ? undefined : stat.device;
}

function saltOf(name: Buffer): bigint {
  return (BigInt(crc32(name)) << 31n) | (1n << 62n);
}

/** What each path is on, and what is mounted below it, in the order of mounting; of two on one point, the later. */
function relevantMounts(paths: readonly Buffer[], view: SourceView): Mount[] {
  const byPoint = new Map<string, Mount>();
  for (const mount of readMounts()) {
    const mountPoint = view.pathOf(mount.mountPoint);
    if (mountPoint) byPoint.set(mountPoint.toString('latin1'), { ...mount, mountPoint });
  }
  const mounts = [...byPoint.values()];
  const wanted = new Set<Mount>();
  for (const path of paths) {
    // The folders above a source are entries too, so every mount on the way counts.
    for (const mount of mounts) {
      if (isAtOrBelow(path, mount.mountPoint) || isAtOrBelow(mount.mountPoint, path)) wanted.add(mount);
    }
  }
  // The root first: it stands in for a device that is not known.
  return mounts
    .filter((mount) => wanted.has(mount))
    .sort((a, b) => a.mountPoint.length - b.mountPoint.length);
}
