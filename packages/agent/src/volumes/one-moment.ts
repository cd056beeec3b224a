import { isAtOrBelow } from '@bakker/impl-format';
import type { PlannedVolume } from '../ports/volumes.ts';
import type { ServiceFolders } from '../quiesce/enter-all.ts';
import { showPath } from '../source/show-path.ts';

/**
 * What is to be said of services whose files are backed up, but are not frozen in one moment: they go on writing behind their
 * locks, and what was copied first does not fit what was copied last. Pure. Folders that are in no source are nobody's loss.
 */
export function notOfOneMoment(
  services: readonly ServiceFolders[],
  volumes: readonly PlannedVolume[],
): string[] {
  return services.flatMap(({ name, folders }) => {
    const held = folders
      .map((folder) => ({ folder, volume: volumeOf(Buffer.from(folder), volumes) }))
      .filter((found): found is { folder: string; volume: PlannedVolume } => found.volume !== undefined);
    const copied = held.find(({ volume }) => volume.moment === undefined);
    if (copied !== undefined) {
      const { folder, volume } = copied;
      const how =
        volume.provider === 'none' ? 'read live' : `copied one after the other (${volume.provider})`;
      return [
        `${name} goes on writing to ${showPath(Buffer.from(folder))}, whose files are ${how}: they may not fit each other; stop it, or dump it (docs/quiesce.md)`,
      ];
    }
    const [first, ...others] = held;
    const other = others.find(({ volume }) => volume.moment !== first?.volume.moment);
    if (first === undefined || other === undefined) return [];
    const places = [first, other].map(({ folder }) => showPath(Buffer.from(folder))).join(' and ');
    return [
      `${name} goes on writing to ${places}, which are frozen one after the other: they may not fit each other (docs/quiesce.md)`,
    ];
  });
}

/** The volume that the folder lies on, if it is in a source there. */
function volumeOf(folder: Buffer, volumes: readonly PlannedVolume[]): PlannedVolume | undefined {
  const around = volumes
    .flatMap((volume) => volume.mountPoints.map((mountPoint) => ({ volume, mountPoint })))
    .filter(({ mountPoint }) => isAtOrBelow(folder, mountPoint))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length)[0];
  return around?.volume.sources.some((source) => isAtOrBelow(folder, source) || isAtOrBelow(source, folder))
    ? around.volume
    : undefined;
}
