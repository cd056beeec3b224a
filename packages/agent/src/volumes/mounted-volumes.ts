import { isAtOrBelow } from '@bakker/impl-format';

/** A mount, or a btrfs subvolume that shows like one. */
export interface VolumeMount {
  readonly mountPoint: Buffer;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
  /** The same for all that is frozen as one: of btrfs, each subvolume has its own. */
  readonly filesystem: string;
  /** Folder of the file system that it shows. */
  readonly root: Buffer;
  readonly source: string;
  /** A window on the kernel: nothing to freeze. */
  readonly isPseudo: boolean;
  /** A subvolume that is seen without being mounted. */
  readonly isNested: boolean;
}

/** What a source asks of the mounts. */
export interface PlacedSource {
  readonly path: Buffer;
  readonly oneFilesystem: boolean;
}

/** One file system (or btrfs subvolume) that holds sources. */
export interface Volume<Source extends PlacedSource> {
  /** The mount that shows most of it. */
  readonly primary: VolumeMount;
  /** All places of the view at which it is shown. */
  readonly mounts: readonly VolumeMount[];
  readonly sources: readonly Source[];
}

export interface MountPlan<Source extends PlacedSource> {
  readonly volumes: readonly Volume<Source>[];
  /** On the way to a source or below one, but not to be read: shown as they are. Parents first. */
  readonly others: readonly VolumeMount[];
  /** Nested subvolumes below a source that stay out. */
  readonly leftOut: readonly VolumeMount[];
}

/**
 * Finds what has to be mounted in a view, and what of it holds sources. Pure.
 *
 * @param mounts - in the order of mounting, nested subvolumes among them
 * @param shown - what else the view must show
 */
export function planMounts<Source extends PlacedSource>(
  mounts: readonly VolumeMount[],
  sources: readonly Source[],
  shown: readonly Buffer[] = [],
): MountPlan<Source> {
  const relevant = visible(mounts).filter(
    ({ mountPoint }) =>
      sources.some(({ path }) => isAtOrBelow(path, mountPoint) || isAtOrBelow(mountPoint, path)) ||
      shown.some((path) => isAtOrBelow(path, mountPoint)),
  );
  const holders = new Map<VolumeMount, Source[]>();
  for (const source of sources) {
    for (const mount of readMounts(source, relevant)) {
      holders.set(mount, [...(holders.get(mount) ?? []), source]);
    }
  }
  const volumes: { primary: VolumeMount; mounts: VolumeMount[]; sources: Source[] }[] = [];
  // The one that shows most of a file system first.
  for (const mount of relevant.toSorted((a, b) => a.root.length - b.root.length)) {
    const volume = volumes.find(({ primary }) => shows(primary, mount));
    const held = holders.get(mount) ?? [];
    if (volume === undefined) volumes.push({ primary: mount, mounts: [mount], sources: [...held] });
    else {
      volume.mounts.push(mount);
      volume.sources.push(...held.filter((source) => !volume.sources.includes(source)));
    }
  }
  const frozen = volumes.filter(({ sources: held }) => held.length > 0);
  const inSnapshots = new Set(frozen.flatMap(({ mounts: places }) => places));
  const rest = relevant.filter((mount) => !inSnapshots.has(mount));
  return {
    volumes: frozen,
    others: rest.filter(({ isNested }) => !isNested),
    leftOut: rest.filter(({ isNested, mountPoint }) => isNested && isBelowAny(mountPoint, sources)),
  };
}

/** The part of `path` behind `folder`: empty, or with a leading slash. */
export function behind(path: Buffer, folder: Buffer): Buffer {
  return folder.length === 1 ? (path.length === 1 ? EMPTY : path) : path.subarray(folder.length);
}

const EMPTY = Buffer.alloc(0);

/** In the order of their depth; a later mount hides those that were at or below its place. */
function visible(mounts: readonly VolumeMount[]): VolumeMount[] {
  const seen: VolumeMount[] = [];
  for (const mount of mounts) {
    for (let index = seen.length - 1; index >= 0; index--) {
      const other = seen[index];
      const isHidden = other !== undefined && isAtOrBelow(other.mountPoint, mount.mountPoint);
      if (isHidden && !mount.isNested) seen.splice(index, 1);
    }
    seen.push(mount);
  }
  return seen.sort((a, b) => a.mountPoint.length - b.mountPoint.length);
}

/** The mount that the source is on, and those below it that it reaches into. */
function readMounts(source: PlacedSource, mounts: readonly VolumeMount[]): VolumeMount[] {
  const own = mounts.findLast(({ mountPoint }) => isAtOrBelow(source.path, mountPoint));
  const below = source.oneFilesystem
    ? []
    : mounts.filter((mount) => mount !== own && isAtOrBelow(mount.mountPoint, source.path));
  return [...(own === undefined ? [] : [own]), ...below].filter(({ isPseudo }) => !isPseudo);
}

function shows(primary: VolumeMount, mount: VolumeMount): boolean {
  return primary.filesystem === mount.filesystem && isAtOrBelow(mount.root, primary.root);
}

function isBelowAny(path: Buffer, sources: readonly PlacedSource[]): boolean {
  return sources.some((source) => isAtOrBelow(path, source.path));
}
