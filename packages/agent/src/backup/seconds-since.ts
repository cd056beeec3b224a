/**
 * How long something took. No difference of two times of day: clocks are set, most of all soon after a start.
 *
 * @param begunMs - of `performance.now`
 */
export function secondsSince(begunMs: number): number {
  return Math.round(performance.now() - begunMs) / 1000;
}
