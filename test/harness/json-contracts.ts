/** What `--json` prints, as the outside relies on it. Written down here a second time on purpose: not imported from the product. */
export interface BackupReport {
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
  readonly bytes: { readonly source: number; readonly sent: number; readonly stored: number };
  readonly seconds: number;
  readonly warnings: readonly string[];
}

export interface ListedRun {
  readonly run: string;
  readonly status: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly files: number;
  readonly bytes: { readonly source: number; readonly added: number };
}

export interface VerifyReport {
  readonly runs: readonly {
    readonly run: string;
    readonly checked: number;
    readonly damaged: readonly { readonly path: string; readonly reason: string }[];
  }[];
}

export interface Difference {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'content' | 'metadata' | 'moved';
  readonly from?: string;
}

export interface RetentionVerdict {
  readonly run: string;
  readonly keep: boolean;
  readonly reasons: readonly string[];
}
