import { AgentError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { OpenedServices, PreparedService, Service } from '../ports/services.ts';
import type { UndoId, UndoJournal } from '../ports/undo-journal.ts';
import { within } from './within.ts';

export interface EnterOptions {
  readonly journal: UndoJournal;
  /** Measures the window; best one that never jumps (`performance.now`). */
  readonly clock: Clock;
  /** Interrupts entering. Leaving is deaf to it. */
  readonly signal: AbortSignal;
  /** After this time from the first `enter`, leaving begins, whatever the snapshot does. */
  readonly windowMs: number;
  /** Keeps other configurations of this machine away from its services, from looking at the first to leaving the last. */
  readonly holdMachine?: OpenedServices['holdMachine'] | undefined;
}

export interface QuiesceReport {
  /** From the first `enter` to the end of the last `leave`, so it may be longer than what was allowed; 0 if nothing stood still. */
  readonly windowMs: number;
  readonly services: readonly { readonly name: string; readonly stoodStillMs: number }[];
}

export interface ServiceFolders {
  readonly name: string;
  readonly folders: readonly string[];
}

/** Services that stand still until they are left. */
export interface EnteredServices extends AsyncDisposable {
  /** Aborts when the window is over before `leaveAll` was called: a snapshot that is not there by then is worth nothing. */
  readonly overdue: AbortSignal;
  /** Files made for the run so far; complete after `leaveAll`. */
  files(): readonly string[];
  /** Which folders and files of which service only a snapshot of one moment has whole. */
  oneMoment(): readonly ServiceFolders[];
  /**
   * Leaves in reverse order, each with its own time limit; what fails stays recorded, and the others are left all the same.
   * Idempotent.
   *
   * @throws AgentError QUIESCE_FAILED if a service could not be left, had not stood still, or the window was over before:
   *   the snapshot must not be used
   */
  leaveAll(): Promise<QuiesceReport>;
  /** The same where no snapshot was made. @returns what the run fails with: the error, and what could not be left */
  leaveAfter(error: unknown): Promise<unknown>;
}

/**
 * Enters services in order. What leaves each is recorded before its entering begins, so that `recover` can do it if this
 * process dies. If one fails, or the signal aborts, those entered are left before this throws.
 *
 * @throws AgentError QUIESCE_FAILED, or the signal's reason
 */
export async function enterAll(
  services: readonly Service[],
  options: EnterOptions,
): Promise<EnteredServices> {
  const window = new Window(options);
  try {
    for (const service of services) {
      if (!service.isDump) await window.holdMachine(services);
      await window.enter(service);
    }
    window.watch();
    return window;
  } catch (error) {
    throw entering(await window.leaveAfter(error), options.signal);
  }
}

interface Held {
  readonly service: Service;
  readonly prepared: PreparedService;
  readonly undoId: UndoId | undefined;
  readonly enteredAtMs: number;
}

interface LeaveFailure {
  readonly name: string;
  readonly error: unknown;
}

class Window implements EnteredServices {
  readonly #options: EnterOptions;
  readonly #held: Held[] = [];
  readonly #stoodStill: { name: string; stoodStillMs: number }[] = [];
  readonly #overdue = new AbortController();
  #startedAtMs: number | undefined;
  #windowMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isWatched = false;
  #checking: Promise<unknown> | undefined;
  #leaving: Promise<readonly LeaveFailure[]> | undefined;
  #isReported = false;
  #machine: Disposable | undefined;

  constructor(options: EnterOptions) {
    this.#options = options;
  }

  get overdue(): AbortSignal {
    return this.#overdue.signal;
  }

  files(): readonly string[] {
    return this.#held.flatMap(({ prepared }) => prepared.files());
  }

  oneMoment(): readonly ServiceFolders[] {
    return this.#held.flatMap(({ service: { name }, prepared }) =>
      (prepared.oneMoment?.() ?? [])
        .filter((folders) => folders.length > 0)
        .map((folders) => ({ name, folders })),
    );
  }

  /** Waits as long as one like this may need them. */
  async holdMachine(services: readonly Service[]): Promise<void> {
    const { holdMachine, signal, windowMs } = this.#options;
    if (holdMachine === undefined || this.#machine !== undefined) return;
    const steps = services.filter(({ isDump }) => !isDump).map(({ timeoutMs }) => 3 * timeoutMs);
    const timeoutMs = steps.reduce((sum, next) => sum + next, windowMs);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeoutMs);
    try {
      this.#machine = await holdMachine({ signal: AbortSignal.any([signal, late.signal]) });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async enter(service: Service): Promise<void> {
    const { journal, clock } = this.#options;
    const { name, timeoutMs } = service;
    const signal = AbortSignal.any([this.#options.signal, this.overdue]);
    const prepared = await within((signal) => service.prepare({ signal }), {
      timeoutMs,
      what: `looking at ${name}`,
      signal,
    });
    const undoId =
      prepared.undo === undefined ? undefined : journal.record({ ...prepared.undo, isService: true });
    this.#held.push({ service, prepared, undoId, enteredAtMs: clock.nowMs() });
    if (prepared.standsStill) this.#start();
    await within((signal) => prepared.enter({ signal }), { timeoutMs, what: `entering ${name}`, signal });
  }

  /** From now on the watchdog leaves by itself; before, it only interrupts the entering. */
  watch(): void {
    this.#isWatched = true;
    if (this.overdue.aborted) void this.leaveHeld();
  }

  async leaveAll(): Promise<QuiesceReport> {
    const woken = await (this.#checking ??= this.#firstWoken());
    const failures = await this.leaveHeld();
    this.#isReported = true;
    if (this.overdue.aborted) throw this.#also(this.overdue.reason, failures);
    if (woken !== undefined) throw this.#also(woken, failures);
    if (failures.length > 0) throw leaving(failures);
    return { windowMs: this.#windowMs, services: this.#stoodStill };
  }

  async leaveAfter(error: unknown): Promise<unknown> {
    const failures = await this.leaveHeld();
    this.#isReported = true;
    return this.#also(error, failures);
  }

  leaveHeld(): Promise<readonly LeaveFailure[]> {
    return (this.#leaving ??= this.#leave());
  }

  /** Throws what `leaveAll` would have, unless that was called. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isReported) return;
    const failures = await this.leaveHeld();
    this.#isReported = true;
    if (failures.length > 0) throw leaving(failures);
  }

  /** All before any is left, since starting one may start another. Still within the window. */
  async #firstWoken(): Promise<unknown> {
    const looks = this.#held.map(({ service: { name, timeoutMs }, prepared }) =>
      within(async (signal) => prepared.stoodStill?.({ signal }), {
        timeoutMs,
        what: `looking whether ${name} stood still`,
        signal: this.overdue,
      }),
    );
    const found = (await Promise.allSettled(looks)).find(({ status }) => status === 'rejected');
    return found?.status === 'rejected' ? found.reason : undefined;
  }

  #also(error: unknown, failures: readonly LeaveFailure[]): unknown {
    if (failures.length === 0) return error;
    const isOverdue = this.overdue.aborted && error === this.overdue.reason;
    // its own sentence says that the services were released
    const first = isOverdue ? `the window of ${this.#options.windowMs / 1000} s was over` : messageOf(error);
    return new AgentError('QUIESCE_FAILED', `${first}; then ${words(failures)}`, {
      hint: STILL_RECORDED,
      cause: error,
    });
  }

  #start(): void {
    if (this.#startedAtMs !== undefined) return;
    const { clock, windowMs } = this.#options;
    this.#startedAtMs = clock.nowMs();
    this.#timer = setTimeout(() => {
      const before =
        this.#checking === undefined ? 'the snapshot was there' : 'all had told that they stood still';
      this.#overdue.abort(overdue(windowMs, before));
      if (this.#isWatched) void this.leaveHeld();
    }, windowMs);
  }

  async #leave(): Promise<readonly LeaveFailure[]> {
    const { journal, clock } = this.#options;
    // the snapshot is there, or given up: how long leaving takes says nothing of it
    clearTimeout(this.#timer);
    const failures: LeaveFailure[] = [];
    const left: { readonly name: string; readonly undoId: UndoId }[] = [];
    for (const { service, prepared, undoId, enteredAtMs } of this.#held.toReversed()) {
      const { name, timeoutMs } = service;
      try {
        await within((signal) => prepared.leave({ signal }), { timeoutMs, what: `leaving ${name}` });
        if (undoId !== undefined) left.push({ name, undoId });
      } catch (error) {
        failures.push({ name, error });
      }
      if (!prepared.standsStill) continue;
      const nowMs = clock.nowMs();
      this.#stoodStill.unshift({ name, stoodStillMs: nowMs - enteredAtMs });
      this.#windowMs = nowMs - (this.#startedAtMs ?? nowMs);
    }
    // what is still to be done waits for disks, and concerns nobody's services
    this.#machine?.[Symbol.dispose]();
    try {
      // when all run again: a disk that is slow must not keep them waiting
      await journal.settleOnDisk(left.map(({ undoId }) => undoId));
    } catch (error) {
      for (const { name } of left) failures.push({ name, error });
    }
    return failures;
  }
}

function overdue(windowMs: number, before: string): AgentError {
  return new AgentError(
    'QUIESCE_FAILED',
    `the services were released after ${windowMs / 1000} s, before ${before}`,
    { hint: 'raise "window", or choose a snapshot that takes less time' },
  );
}

function entering(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof AgentError || (signal.aborted && error === signal.reason)) return error;
  return new AgentError('QUIESCE_FAILED', messageOf(error), { cause: error });
}

function leaving(failures: readonly LeaveFailure[]): AgentError {
  return new AgentError('QUIESCE_FAILED', words(failures), {
    hint: STILL_RECORDED,
    cause: failures[0]?.error,
  });
}

function words(failures: readonly LeaveFailure[]): string {
  return failures.map(({ name, error }) => `leaving ${name} failed: ${messageOf(error)}`).join('; ');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const STILL_RECORDED = 'see that the services run; bakker recover tries again to leave them';
