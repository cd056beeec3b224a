import { wallClockMs } from '@bakker/command-line';
import type { Clock } from '../ports/clock.ts';

/** This machine's wall clock. */
export const systemClock: Clock = { nowMs: wallClockMs };
