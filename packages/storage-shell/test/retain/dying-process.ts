import { libc } from '@bakker/linux';

/** The process is dead: nothing that it does from here on has any effect. */
export class Died extends Error {
  override readonly name = 'Died';
}

const CALLS = ['renameat2', 'linkat', 'unlinkat', 'symlinkat', 'mkdirat'] as const;

/**
 * Lets this process die, as far as the disk can tell, in place of its `step`-th changing call (from 1): that one and all
 * after it throw and do nothing.
 *
 * @returns whether it died
 */
export async function dieAt(step: number, act: () => Promise<unknown>): Promise<boolean> {
  const calls: Partial<Record<string, unknown>> = Object.assign(libc());
  const real = Object.fromEntries(CALLS.map((name) => [name, calls[name]]));
  let steps = 0;
  for (const name of CALLS) {
    const call = calls[name] as (...parameters: unknown[]) => number;
    const dying = (...parameters: unknown[]): number => {
      if (++steps >= step) throw new Died();
      return call(...parameters);
    };
    Object.assign(calls, { [name]: dying });
  }
  try {
    await act();
  } catch (error) {
    if (steps < step) throw error;
  } finally {
    Object.assign(calls, real);
  }
  return steps >= step;
}
