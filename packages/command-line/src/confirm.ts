import type { Program } from './program.ts';

/**
 * Asks a person on the terminal.
 *
 * @param beforeAsking - called when there is somebody to ask: standard error is free for the question until what it returns is disposed
 * @throws CodedError NOT_CONFIRMED when the answer is not yes, or nobody can be asked
 */
export async function askYes(
  program: Program,
  question: string,
  {
    isInteractive,
    signal,
    beforeAsking,
  }: { isInteractive: boolean; signal: AbortSignal; beforeAsking?: () => Disposable },
): Promise<void> {
  if (!isInteractive) {
    throw program.failure('NOT_CONFIRMED', `${question} Nobody is there to answer`, {
      hint: '--yes answers for you',
    });
  }
  using _free = beforeAsking?.();
  const { createInterface } = await import('node:readline/promises');
  // `terminal: false` leaves Ctrl-C to the terminal, and so to the signal.
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  throw program.failure('NOT_CONFIRMED', 'not confirmed: nothing was done');
}
