import type { Freeze, RunName } from '@bakker/impl-format/storage';

/** What is known of a run that is about to be published. */
export interface PublishedRun {
  readonly run: RunName;
  /** The run that it was compared with, as its server chose. */
  readonly parent: RunName | undefined;
  /** Files of the parent, 0 without one. */
  readonly parentFiles: number;
  /** How many files of the run are in it as complete runs have them, under whatever name. */
  readonly keptFiles: number;
  /** By the storage's clock. */
  readonly receivedAtMs: number;
  /** Why the server itself thinks that retention should stand still. */
  readonly asked: string | undefined;
}

/** Says when an account's retention has to wait for an administrator. */
export interface FreezeJudge {
  /** The state as it is on the disk; null when retention goes on. */
  current(): Freeze | null;
  /** Why this run should freeze the account; undefined if it should not. */
  judge(run: PublishedRun): string | undefined;
}
