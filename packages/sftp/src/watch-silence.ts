import type { Connection } from './connection.ts';
import { SftpConnectionError } from './errors.ts';

/** Silence is counted in steps: while this machine sleeps, none passes. */
const STEPS = 8;

/**
 * Fails a connection whose server owes answers (`pending`) and sends nothing for so long. To be chosen generously: a server
 * says nothing while it copies or flushes.
 */
export function watchSilence(connection: Connection, pending: () => number, silenceMs: number): void {
  let heardBytes = connection.bytesReceived;
  let quietSteps = 0;
  const timer = setInterval(() => {
    if (connection.failure !== undefined) {
      clearInterval(timer);
      return;
    }
    quietSteps = pending() > 0 && connection.bytesReceived === heardBytes ? quietSteps + 1 : 0;
    heardBytes = connection.bytesReceived;
    if (quietSteps < STEPS) return;
    clearInterval(timer);
    connection.fail(
      new SftpConnectionError(`the server left ${pending()} requests unanswered for ${words(silenceMs)}`),
    );
  }, silenceMs / STEPS);
  timer.unref();
}

function words(ms: number): string {
  return ms < HOUR_MS ? `${ms / 1000} s` : `${Math.round(ms / HOUR_MS)} h`;
}

const HOUR_MS = 3_600_000;
