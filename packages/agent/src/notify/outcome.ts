import type { BackupReport } from '../backup/report.ts';
import type { Space } from '../ports/storage-account.ts';

/** What became of a run, as those who are told of it need it. */
export interface Outcome {
  /** `skipped`: the last run is young enough. `test`: nothing happened, somebody tries whether messages arrive. */
  readonly kind: 'success' | 'partial' | 'failure' | 'interrupted' | 'skipped' | 'test';
  readonly exitStatus: number;
  /** What a person reads first; lines. Safe for a terminal. */
  readonly message: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** Of a published run. */
  readonly report?: BackupReport;
  /** What the storage had left after a published run. */
  readonly space?: Space | undefined;
  /** The unit that failed, if it was not one that makes runs. */
  readonly unit?: string;
}

/** What is told of: this server, and where its runs go. */
export interface Subject {
  readonly host: string;
  /** The account's address. */
  readonly account: string;
  readonly version: string;
}
