import type { FreezePlan, ProviderName } from '../ports/volumes.ts';
import { showPath } from '../source/show-path.ts';

/** How the files of a source, as far as they are on one file system, were frozen. */
export interface SourceSnapshot {
  readonly source: string;
  /** Where the file system is mounted. */
  readonly filesystem: string;
  readonly provider: ProviderName;
}

/** What `bakker backup --json` prints. Counts are of everything but folders. */
export interface BackupReport {
  /** Null when the run was skipped. */
  readonly run: string | null;
  readonly status: 'complete' | 'partial' | 'skipped';
  readonly parent: string | null;
  readonly files: {
    readonly total: number;
    readonly new: number;
    readonly changed: number;
    readonly metadata: number;
    readonly moved: number;
    readonly unchanged: number;
    readonly gone: number;
    readonly unreadable: number;
  };
  readonly bytes: {
    /** Sum of the sizes of all files. */
    readonly source: number;
    /** Content bytes that crossed to the storage. */
    readonly sent: number;
    /** Content bytes that the run added to the account. */
    readonly stored: number;
  };
  readonly seconds: number;
  /** From the first service that stood still to the last; absent where none did. */
  readonly windowSeconds?: number;
  /** Absent where neither services nor snapshots are configured. */
  readonly snapshots?: readonly SourceSnapshot[];
  readonly warnings: readonly string[];
}

/** For each source, how each of its file systems is frozen. */
export function snapshotsOf(plan: FreezePlan): SourceSnapshot[] {
  return plan.volumes.flatMap(({ sources, mountPoint, provider }) =>
    sources.map((source) => ({ source: showPath(source), filesystem: showPath(mountPoint), provider })),
  );
}
