import type { ManifestHeader, RunName } from '@bakker/impl-format';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { RestoreTarget, TargetTree } from '../ports/restore-target.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { Progress } from '../ports/progress.ts';
import type { Overwrite } from './decide.ts';
import type { PathPattern } from './path-pattern.ts';
import type { RestoreReport } from './restore-report.ts';

/** What the operator asked for. */
export interface RestoreJob {
  readonly run: RunName;
  /** The folder that paths of the run are restored below; `/` for in place. */
  readonly to: string;
  /** Empty for everything. */
  readonly patterns: readonly PathPattern[];
  readonly overwrite: Overwrite;
  /** Removes what the run does not have from restored folders. */
  readonly deletes: boolean;
  readonly isDryRun: boolean;
  /** Reads everything again that was written, or left because it looked right. */
  readonly verifies: boolean;
  readonly numericOwner: boolean;
  /** For contents in flight. */
  readonly memoryBytes: number;
}

export interface RestorePorts {
  readonly account: StorageAccount;
  readonly target: RestoreTarget;
  readonly overflow: OpenOverflow;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What the parts of one restore share. */
export interface RestoreContext {
  readonly job: RestoreJob;
  readonly ports: RestorePorts;
  readonly header: ManifestHeader;
  /** Undefined in a dry run into a folder that is not there. */
  readonly tree: TargetTree | undefined;
  readonly report: RestoreReport;
}
