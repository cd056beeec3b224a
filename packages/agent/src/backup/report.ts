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
  readonly warnings: readonly string[];
}
