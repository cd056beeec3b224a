/** A value that JSON can hold. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * What has to be undone, as plain data that another process can act on: `{ kind: 'leave-command', argv, … }`,
 * `{ kind: 'unmount', path }`. Holds no secret: it is kept on the disk.
 */
export interface UndoStep {
  readonly kind: string;
  /** It releases a service: undone before all that nobody waits for. */
  readonly isService?: boolean;
  readonly [field: string]: JsonValue;
}

export type UndoId = number & { readonly __brand: 'UndoId' };

export interface PendingUndo {
  readonly id: UndoId;
  readonly step: UndoStep;
  readonly recordedAtMs: number;
}

/** What must be undone, on the disk before it is done: outlives the process and the machine's power. */
export interface UndoJournal {
  /** On the disk before it returns. @throws AgentError STATE_UNUSABLE: then the thing must not be done */
  record(step: UndoStep): UndoId;
  /** The undoing is done: forgotten. An id that is not there any more is no error. */
  settle(id: UndoId): void;
  /**
   * The same for what was written to files in undoing, by whomever: forgotten only once all of that is on the disks, because a
   * power cut takes back what is not. Where that takes too long they stay: to undo them again does no harm.
   */
  settleOnDisk(ids: readonly UndoId[]): Promise<void>;
  /** Newest first: the order in which to undo. */
  pending(): readonly PendingUndo[];
}

/**
 * Undoes one step. Idempotent: the step may never have been done, be half done, or be undone already.
 *
 * @throws if it is not undone; it stays recorded then
 */
export type Undoer = (step: UndoStep, context: UndoContext) => Promise<void>;

export interface UndoContext {
  /** Aborts at the step's deadline, not when the run is interrupted. */
  readonly signal: AbortSignal;
}

/** By `kind`; composed in one place from the parts that record steps. */
export type Undoers = Readonly<Record<string, Undoer>>;
