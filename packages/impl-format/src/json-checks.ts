import { FormatProblem } from './errors.ts';
import { parseRunName, type RunName } from './run-name.ts';

/** The largest uid, gid, link count or device number. */
export const MAX_UINT32 = 0xffff_ffff;

const LATEST_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** @throws FormatProblem MALFORMED unless `text` is JSON for an object */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatProblem('MALFORMED', 'not JSON');
  }
  return asObject(value, 'the line');
}

/** @throws FormatProblem MALFORMED */
export function asObject(value: unknown, name: string): Record<string, unknown> {
  if (!isObject(value)) throw new FormatProblem('MALFORMED', `${name} is not an object`);
  return value;
}

/** @throws FormatProblem MALFORMED for a key that is not among `known` */
export function refuseUnknownKeys(value: Record<string, unknown>, known: ReadonlySet<string>): void {
  for (const key of Object.keys(value)) {
    if (!known.has(key))
      throw new FormatProblem('MALFORMED', `unknown key ${JSON.stringify(key.slice(0, 64))}`);
  }
}

/** @throws FormatProblem MALFORMED */
export function asArray(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new FormatProblem('MALFORMED', `${name} is not an array`);
  return value;
}

/** @throws FormatProblem MALFORMED unless it is well-formed text */
export function asText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new FormatProblem('MALFORMED', `${name} is not text`);
  if (!value.isWellFormed()) throw new FormatProblem('MALFORMED', `${name} has a lone surrogate`);
  return value;
}

/** @throws FormatProblem MALFORMED unless it is a whole number from 0 to `max` */
export function asCount(value: unknown, name: string, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw new FormatProblem('MALFORMED', `${name} is not a number`);
  if (!isCount(value, max)) throw new FormatProblem('MALFORMED', `${name} is out of range`);
  return value;
}

/** Whether `value` is a whole number from 0 to `max`. Minus zero is none. */
export function isCount(value: unknown, max: number = Number.MAX_SAFE_INTEGER): value is number {
  return (
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= 0 &&
    value <= max &&
    !Object.is(value, -0)
  );
}

/** @throws FormatProblem MALFORMED unless it is 64 lower-case hexadecimal digits */
export function asDigest(value: unknown, name: string): string {
  const text = asText(value, name);
  if (!/^[0-9a-f]{64}$/.test(text)) throw new FormatProblem('MALFORMED', `${name} is not 64 hex digits`);
  return text;
}

/** @throws FormatProblem MALFORMED unless it is the name of a run */
export function asRun(value: unknown, name: string): RunName {
  const run = parseRunName(asText(value, name));
  if (run === undefined) throw new FormatProblem('MALFORMED', `${name} is no run name`);
  return run;
}

/** @throws FormatProblem MALFORMED unless it is `YYYY-MM-DDTHH:MM:SS.mmmZ` from 1970 to 9999 */
export function asTimeMs(value: unknown, name: string): number {
  const text = asText(value, name);
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs) || timeText(timeMs, name) !== text) {
    throw new FormatProblem('MALFORMED', `${name} is not a time`);
  }
  return timeMs;
}

/** @throws FormatProblem MALFORMED unless it is a whole millisecond from 1970 to 9999 */
export function timeText(timeMs: number, name: string): string {
  if (!isCount(timeMs, LATEST_TIME_MS)) throw new FormatProblem('MALFORMED', `${name} is out of range`);
  return new Date(timeMs).toISOString();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
