import { AgentError } from './errors.ts';

/** Waits before the account is connected to again after a cut; after the last one the command ends. */
export const RECONNECT_AFTER_MS: readonly number[] = [1_000, 5_000, 15_000, 30_000, 60_000];

/** The line broke, or can't be had again yet. */
export function isLineLost(error: unknown): error is AgentError {
  return (
    error instanceof AgentError && (error.code === 'CONNECTION_LOST' || error.code === 'STORAGE_UNREACHABLE')
  );
}

/** What became of one file of several that are read together. @throws the error itself if the line broke: all are asked for anew */
export function unlessLineLost(error: unknown): Error {
  if (isLineLost(error)) throw error;
  return error instanceof Error ? error : new Error(String(error));
}

/** @throws the signal's reason when it is aborted, at once */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
  signal.throwIfAborted();
}
