import type { Options } from '@bakker/command-line';
import { stages } from '../timings/stages.ts';
import { timingsOf } from '../timings/timings.ts';
import type { Timings } from '../timings/timings.ts';

export const TIMINGS_FLAG = {
  timings: { type: 'boolean', describe: 'say where the time went' },
} as const satisfies Record<string, Options>;

/** Up to now, if it is asked for. */
export function timingsIf(isAsked: boolean): Timings | undefined {
  return isAsked ? timingsOf(stages.times()) : undefined;
}
