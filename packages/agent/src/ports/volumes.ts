import type { ProviderChoice, SnapshotSettings } from '../config/snapshot-settings.ts';
import type { SourceProblem, SourceRules } from './source-tree.ts';
import type { UndoJournal } from './undo-journal.ts';

export type ProviderName = Exclude<ProviderChoice, 'auto'>;

/** A source as it is found now, and how its file system should be frozen. */
export interface SourceToFreeze extends SourceRules {
  readonly snapshot: SnapshotSettings;
}

/** What stands in the way of freezing a volume. */
export interface FreezeProblem {
  readonly message: string;
  readonly hint: string;
}

/** A file system that holds sources, and what would be done with it. */
export interface PlannedVolume {
  /** Where it is mounted; of several places, the one that shows most. */
  readonly mountPoint: Buffer;
  readonly type: string;
  /** As mounted: `/dev/mapper/vg-data`, `tank/home`. */
  readonly device: string;
  readonly provider: ProviderName;
  /** Wherever it is mounted, that place among them. */
  readonly mountPoints: readonly Buffer[];
  /** The same for all volumes that are frozen in one moment; undefined where each file is of another. */
  readonly moment: string | undefined;
  /** In words: what was found below it, and why nothing better can be had. */
  readonly why: string;
  /** Absolute. */
  readonly sources: readonly Buffer[];
  readonly problem?: FreezeProblem;
}

/** Which provider freezes what. `doctor` shows it. */
export interface FreezePlan {
  readonly volumes: readonly PlannedVolume[];
  /** What is not frozen though somebody may expect it, and what earlier runs left. */
  readonly warnings: readonly string[];
  /** Whether nothing is frozen: the live files are read, and no view is made. */
  readonly isLive: boolean;
}

export interface PlanOptions {
  /** Folders that the view shows as they are when they are read, whatever is frozen around them. Absolute, and there. */
  readonly live?: readonly Buffer[];
}

export interface FreezeOptions {
  readonly journal: UndoJournal;
  /** Interrupts freezing. What was made is undone by disposing. */
  readonly signal: AbortSignal;
  /** Names what is made: `bakker-ID-…`. Letters and digits; random if not given. */
  readonly id?: string;
}

export interface Volumes {
  /** Looks at what lies under the sources; changes nothing. @throws AgentError SNAPSHOT_FAILED if that can't be seen */
  plan(sources: readonly SourceToFreeze[], options?: PlanOptions): Promise<FreezePlan>;
  /**
   * Everything that can be done while services still run: room is checked, copies are brought near to what they copy.
   *
   * @throws AgentError SNAPSHOT_FAILED, if the plan has a problem too
   */
  prepare(plan: FreezePlan, options: FreezeOptions): Promise<Freeze>;
}

/** A freezing under way. Disposing undoes all that it made, the view too; it is idempotent and deaf to the signal. */
export interface Freeze extends AsyncDisposable {
  /** Takes every snapshot, one directly after the other: services stand still meanwhile. Once. @throws AgentError SNAPSHOT_FAILED */
  take(): Promise<void>;
  /** Mounts what was taken; services may run again. Once. @throws AgentError SNAPSHOT_FAILED */
  mount(): Promise<FrozenView>;
}

/** The sources as they were at one moment, below one folder. */
export interface FrozenView {
  /** To be read by `openSourceTree(viewBelow(root))`; `/` for the live files. */
  readonly root: Buffer;
  readonly warnings: readonly string[];
  /** Paths that a copy could not take, at most 1,000 of them: the run is not whole. */
  readonly problems: readonly SourceProblem[];
  /**
   * Whether every snapshot is still whole and still what is mounted: before the publish, and now and then before.
   *
   * @throws AgentError SNAPSHOT_FAILED, with the size that would have been enough
   */
  check(): Promise<void>;
}
