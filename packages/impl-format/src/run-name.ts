/** `YYYY_MM_DD_NN`, UTC. See `parseRunName`. */
export type RunName = string & { readonly __brand: 'RunName' };

const DATE_LENGTH = 'YYYY_MM_DD'.length;
const DAY_MS = 86_400_000;
const HIGHEST_NUMBER = 999_999_999;
/** Two digits, or more without a leading zero. */
const SHAPE = /^(\d{4})_(\d{2})_(\d{2})_(\d{2}|[1-9]\d{2,8})$/;

/** Undefined unless `text` is exactly how `nextRunName` would write it: a date that exists, a number from 01. */
export function parseRunName(text: string): RunName | undefined {
  return isRunName(text) ? text : undefined;
}

/** Negative when `a` is older. Numeric: `_99` is before `_100`. */
export function compareRunNames(a: RunName, b: RunName): number {
  const dateA = a.slice(0, DATE_LENGTH);
  const dateB = b.slice(0, DATE_LENGTH);
  if (dateA !== dateB) return dateA < dateB ? -1 : 1;
  return numberOf(a) - numberOf(b);
}

/**
 * The name of a run that starts now: today's (UTC), and later than every one of `existing`; when a clock went back,
 * the newest one's date with the next number.
 * @throws RangeError if `nowMs` is not a time in the years 1 to 9999, or a day is full
 */
export function nextRunName(existing: readonly RunName[], nowMs: number): RunName {
  const today = dateOf(nowMs);
  const newest = existing.reduce<RunName | undefined>(
    (latest, run) => (latest === undefined || compareRunNames(run, latest) > 0 ? run : latest),
    undefined,
  );
  if (newest === undefined || newest.slice(0, DATE_LENGTH) < today) return written(today, 1);
  return written(newest.slice(0, DATE_LENGTH), numberOf(newest) + 1);
}

/** Unix time in milliseconds of the UTC midnight that the run's date begins with. */
export function runDateMs(run: RunName): number {
  return midnightMs(Number(run.slice(0, 4)), Number(run.slice(5, 7)), Number(run.slice(8, 10)));
}

function isRunName(text: string): text is RunName {
  const match = SHAPE.exec(text);
  if (match === null) return false;
  const [year, month, day, number] = match.slice(1).map(Number);
  if (year === undefined || month === undefined || day === undefined || number === undefined) return false;
  if (year === 0 || number === 0) return false;
  return dateOf(midnightMs(year, month, day)) === text.slice(0, DATE_LENGTH);
}

function written(date: string, number: number): RunName {
  if (number > HIGHEST_NUMBER) throw new RangeError(`no run name is left on ${date}`);
  const text = `${date}_${String(number).padStart(2, '0')}`;
  if (!isRunName(text)) throw new RangeError(`${text} is no run name`);
  return text;
}

function numberOf(run: RunName): number {
  return Number(run.slice(DATE_LENGTH + 1));
}

/** Not Date.UTC alone: it takes the years 0 to 99 for 1900 to 1999. */
function midnightMs(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return Math.floor(date.getTime() / DAY_MS) * DAY_MS;
}

function dateOf(timeMs: number): string {
  const date = new Date(timeMs);
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) throw new RangeError(`${timeMs} ms is not a time in the years 1 to 9999`);
  return date.toISOString().slice(0, DATE_LENGTH).replaceAll('-', '_');
}
