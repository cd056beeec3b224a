import { AgentError } from '../errors.ts';

/** How long a task may take to end after it was told to. */
const GRACE_MS = 5_000;

export interface Limits {
  readonly timeoutMs: number;
  /** What takes too long, for the message: the subject of a sentence. */
  readonly what: string;
  /** What to do then, where it is not to give it more time. */
  readonly hint?: string;
  /** Ends the task before its time. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a task with a time limit. At the limit its signal aborts; it is then waited for a few seconds more, so that what it
 * started has ended, and no longer.
 *
 * @throws AgentError QUIESCE_FAILED at the limit, the signal's reason if that came first, or what the task throws
 */
export async function within<Value>(
  task: (signal: AbortSignal) => Promise<Value>,
  { timeoutMs, what, hint = 'raise its "timeout" if it needs the time', signal }: Limits,
): Promise<Value> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const passOn = (): void => stop.abort(signal?.reason);
  const timer = setTimeout(() => stop.abort(new TookTooLong()), timeoutMs);
  signal?.addEventListener('abort', passOn, { once: true });
  let graceTimer: NodeJS.Timeout | undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    stop.signal.addEventListener('abort', () => {
      graceTimer = setTimeout(() => reject(new Error('it does not end')), GRACE_MS);
    });
  });
  try {
    return await Promise.race([task(stop.signal), lost]);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    if (!(stop.signal.reason instanceof TookTooLong)) throw stop.signal.reason;
    const said = error instanceof Error && !(error instanceof TookTooLong) ? `: ${error.message}` : '';
    throw new AgentError('QUIESCE_FAILED', `${what} took longer than ${timeoutMs / 1000} s${said}`, {
      hint,
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    clearTimeout(graceTimer);
    signal?.removeEventListener('abort', passOn);
  }
}

class TookTooLong extends Error {
  override readonly name = 'TookTooLong';
}
