/** What a key may do to an account. */
export type Role = 'backup' | 'restore';

/** What the forced command says, and nothing that comes from the client. */
export interface SessionOptions {
  /** Absolute; the account is the folder `account` in it. */
  readonly rootDir: string;
  readonly account: string;
  readonly role: Role;
  /** Whether content, names and metadata of runs may be read. */
  readonly mayRead: boolean;
  readonly signal: AbortSignal;
}

/** Serves SFTP and the verbs over this process's standard streams. */
export interface ShellSession {
  /** Resolves when the client has gone. @throws StorageError ACCOUNT_UNUSABLE */
  serve(options: SessionOptions): Promise<void>;
}
