import type { SourceProblem } from '../../ports/source-tree.ts';
import type { UndoStep } from '../../ports/undo-journal.ts';
import type { FreezeProblem, ProviderName, SourceToFreeze } from '../../ports/volumes.ts';
import type { Finding } from '../../volumes/choose-provider.ts';
import type { Volume } from '../../volumes/mounted-volumes.ts';

export type SourceVolume = Volume<SourceToFreeze>;

/** A volume that a provider freezes. */
export interface Job {
  readonly volume: SourceVolume;
  /** Unique in its freezing: part of names. */
  readonly index: number;
}

export interface TakeContext {
  /** `bakker-ID`: what is made has this name, or begins with it. */
  readonly name: string;
  /** Puts on the disk what undoes the next step. Before that is done. */
  readonly record: (step: UndoStep) => void;
  /** See busy.ts. */
  readonly busyFile: string;
  readonly busyFd: number;
  readonly signal: AbortSignal;
}

/** A volume as it was at one moment. */
export interface Snapshot {
  readonly job: Job;
  /** Folder of the file system that is seen where it is mounted. */
  readonly shownRoot: Buffer;
  /** Shows it at an empty folder; the caller makes it read-only. */
  mount(at: Buffer): Promise<void>;
  /** Makes a folder on which something else is to be mounted, where the snapshot itself can't have it. */
  makeMountPoint?(path: Buffer): void;
  /** @throws AgentError SNAPSHOT_FAILED if it is not whole any more */
  check(): Promise<void>;
  readonly warnings: readonly string[];
  readonly problems: readonly SourceProblem[];
}

/** One way to freeze volumes. */
export interface Provider {
  readonly name: ProviderName;
  look(volume: SourceVolume): Promise<Omit<Finding, 'provider'>>;
  /** What stands in the way of these jobs together. */
  review(jobs: readonly Job[]): Promise<readonly { readonly job: Job; readonly problem: FreezeProblem }[]>;
  /** What can be done before services stand still. Its end is undone by disposing. */
  prepare(jobs: readonly Job[], context: TakeContext): Promise<Disposable | undefined>;
  /** Fast. One snapshot for each job, in any order. */
  take(jobs: readonly Job[], context: TakeContext): Promise<readonly Snapshot[]>;
}
