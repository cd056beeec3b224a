import type { CommandOf, ListedCommandOf } from '@bakker/command-line';
import type { Config } from '../config/config.ts';
import type { Limits } from '../limits/limits.ts';
import type { Clock } from '../ports/clock.ts';
import type { Enrolment } from '../ports/enrolment.ts';
import type { Findings } from '../ports/findings.ts';
import type { Freezing } from '../ports/frozen-source.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { Machine } from '../ports/machine.ts';
import type { Notifier, NotifyMemory } from '../ports/notifier.ts';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { Progress } from '../ports/progress.ts';
import type { ReadingLock } from '../ports/reading-lock.ts';
import type { RestoreTarget } from '../ports/restore-target.ts';
import type { SealingThreads } from '../ports/sealing-threads.ts';
import type { ServiceManager } from '../ports/service-manager.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { LastRuns, StateFolder } from '../ports/state-folder.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { UndoJournal, Undoers } from '../ports/undo-journal.ts';

/** What main.ts hands to a command. Everything costly is opened by the call, once. */
export interface CommandContext {
  readonly configFile: string;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether a person can be asked. */
  readonly isInteractive: boolean;
  config(): Promise<Config>;
  account(): Promise<StorageAccount>;
  /** The configuration's account on a new connection, for reading that goes on after a cut. Closed with the command. */
  anotherAccount(): Promise<StorageAccount>;
  /** Another account on the same storage, with this server's own key: by its name, or by its address. @throws AgentError USAGE */
  otherAccount(text: string): Promise<StorageAccount>;
  /** Opens the account anew at each call, for a backup that goes on after a cut; the caller closes it. */
  reopenAccount(): Promise<StorageAccount>;
  /**
   * The limits that hold: the configuration's, and from then on those of the command line, which win over them. To be asked
   * with `asked` before an account is opened.
   */
  limits(asked?: Partial<Limits>): Promise<Limits>;
  /** Lets others go before this process, as far as the limits ask for it. */
  stepBack(): Promise<void>;
  /** This server's name. */
  readonly host: string;
  state(): Promise<StateFolder>;
  /** What the state folder knows of the last runs, also where it can't be written. @throws AgentError STATE_UNUSABLE */
  lastRuns(): Promise<LastRuns>;
  /** For what reading commands find, however much it is. */
  findings(): Promise<Findings>;
  /** A table for what memory is not to hold. */
  readonly overflow: OpenOverflow;
  /** For what reads runs for long, and for what removes them. */
  readingLock(): Promise<ReadingLock>;
  /** What must be undone, and how. To be used under the run lock. */
  undoing(): Promise<{ readonly journal: UndoJournal; readonly undoers: Undoers }>;
  /** For services that stand still and file systems that are frozen. */
  readonly freezing: Freezing;
  /** To tell somebody of runs. */
  notifying(): Promise<{ readonly notifier: Notifier; readonly memory: NotifyMemory }>;
  source(): Promise<SourceTree>;
  /** @param other - account that is restored from, if it is not the configuration's: its runs are left alone as well */
  target(other?: string): Promise<RestoreTarget>;
  /** For `init`: keys, host keys, and writing the configuration. */
  enrolment(): Promise<Enrolment>;
  /** For `init --timer`. */
  serviceManager(): Promise<ServiceManager>;
  /** Key files, and where private keys may come from. */
  keys(): Promise<KeyFiles>;
  /** To seal and open many files. */
  sealing(): Promise<SealingThreads>;
  /** For `doctor`. */
  machine(): Promise<Machine>;
  /** @throws AgentError NOT_CONFIRMED when the answer is not yes, or nobody can be asked */
  confirm(question: string): Promise<void>;
  /** Standard output for content itself (`cat`), with back-pressure. */
  writeOut(bytes: Uint8Array): Promise<void>;
}

/** A command file exports one of these; main.ts and completion are made from the list of them. */
export type Command<Args, Result> = CommandOf<CommandContext, Args, Result>;

export type ListedCommand = ListedCommandOf<CommandContext>;
