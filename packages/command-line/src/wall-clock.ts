const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Unix milliseconds, from 1970 to 9999: what is stored holds no other time. A clock that shows one is wrong in any case, and a
 * machine whose battery is empty is backed up all the same.
 */
export function wallClockMs(): number {
  return Math.min(Math.max(Date.now(), 0), LATEST_MS);
}
