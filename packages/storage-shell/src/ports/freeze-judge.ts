import type { RunName } from '@bakker/impl-format';

/** Why retention of an account stands still. */
export interface Frozen {
  readonly reason: string;
  readonly sinceRun: string;
}

/** What is known of a run that was just published. */
export interface PublishedRun {
  readonly run: RunName;
  /** Undefined for a first run. */
  readonly parent: RunName | undefined;
  /** Files of the parent, and how many of them are in the run as they were. */
  readonly parentFiles: number;
  readonly keptFiles: number;
  /** Storage's clock. */
  readonly receivedAtMs: number;
}

/** Says when an account's retention has to wait for an administrator. */
export interface FreezeJudge {
  /** The state as it is on the disk; null when retention goes on. */
  current(): Frozen | null;
  /** Judges a published run, notes a freeze on the disk, and says the state after it. */
  published(run: PublishedRun): Frozen | null;
}
