import type { UndoStep } from './undo-journal.ts';

/** Something that runs on this machine and is brought to a consistent state for a snapshot. */
export interface Service {
  /** As configured, unique. */
  readonly name: string;
  /** For each of looking, entering and leaving. */
  readonly timeoutMs: number;
  /** Made beside whatever others do: nobody has to stand still for it, or wait until others let go. */
  readonly isDump: boolean;
  /** Looks at what is to be done and undone; changes nothing. @throws AgentError QUIESCE_FAILED */
  prepare(context: ServiceContext): Promise<PreparedService>;
}

export interface ServiceContext {
  /** Aborts at the deadline; then children are ended before the promise rejects. */
  readonly signal: AbortSignal;
}

/** One entering and leaving of a service. */
export interface PreparedService {
  /** What leaves it if this process dies; undefined if nothing would be left behind. Recorded before `enter`. */
  readonly undo: UndoStep | undefined;
  /** Whether anybody has to wait from `enter` to `leave`: that time counts as the window. */
  readonly standsStill: boolean;
  /** @throws AgentError QUIESCE_FAILED; `leave` is called then too */
  enter(context: ServiceContext): Promise<void>;
  /** The same as undoing `undo`, and idempotent like it. @throws AgentError QUIESCE_FAILED if it is not left, or had not stood still */
  leave(context: ServiceContext): Promise<void>;
  /**
   * Once the snapshot is there, before anything is left: looks whether it still stands still. Absent where leaving tells.
   *
   * @throws AgentError QUIESCE_FAILED if somebody woke it: the snapshot must not be used
   */
  stoodStill?(context: ServiceContext): Promise<void>;
  /** Absolute paths of the files that entering and leaving made: they belong into the run. */
  files(): readonly string[];
  /**
   * Known once it is entered: folders and files that may be written to while it stands still, so that only a snapshot of one
   * moment has them whole. Absolute, as they really lie; those in one list have to fit each other.
   */
  oneMoment?(): readonly (readonly string[])[];
}

/** The configured services of this machine. */
export interface OpenedServices {
  /** In the configured order. */
  readonly services: readonly Service[];
  /**
   * Waits until no other configuration of this machine holds services; none does until the result is disposed.
   *
   * @throws AgentError QUIESCE_FAILED when the signal aborts
   */
  readonly holdMachine: (context: ServiceContext) => Promise<Disposable>;
  /** Where dumps are made: a source of the run, to be read as it is when all services are left, not from a snapshot. */
  readonly dumpsFolder: string;
  /** Whether any service makes files there. */
  readonly hasDumps: boolean;
}
