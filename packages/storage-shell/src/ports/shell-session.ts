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

/** How a client came here. It decides whether it is served, never what. */
export interface Visit {
  /** A person sits at the other end. */
  readonly isTerminal: boolean;
  /** What the client asked sshd to run; the command of the subsystem for SFTP. Undefined if it asked for a shell, or for nothing. */
  readonly command: string | undefined;
}

/** Serves SFTP and the verbs over this process's standard streams. */
export interface ShellSession {
  visit(): Visit;
  /** Resolves when the client has gone. @throws StorageError ACCOUNT_UNUSABLE */
  serve(options: SessionOptions): Promise<void>;
}
