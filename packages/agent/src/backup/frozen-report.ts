import type { FrozenSource } from './freeze-source.ts';
import type { BackupReport } from './report.ts';

/** What a report says of services and snapshots. */
export function describeFrozen(
  frozen: FrozenSource | undefined,
): Pick<BackupReport, 'windowSeconds' | 'snapshots'> {
  if (frozen === undefined) return {};
  const { windowMs, snapshots } = frozen;
  return { ...(windowMs === undefined ? {} : { windowSeconds: windowMs / 1000 }), snapshots };
}

/** What a copy could not take is not in the run: nobody else counts it. */
export function withoutCopy(
  files: BackupReport['files'],
  frozen: FrozenSource | undefined,
): BackupReport['files'] {
  const missing = frozen?.problems.filter(({ kind }) => kind === 'unreadable').length ?? 0;
  return missing === 0 ? files : { ...files, unreadable: files.unreadable + missing };
}
