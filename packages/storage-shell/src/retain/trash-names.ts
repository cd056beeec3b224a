import { parseRunName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';

/**
 * A removed run in `.bakker/trash`. What belongs to it lies beside its folder, under the same name with a suffix:
 * `.impl` the manifest, `.json` the receipt, `.diff`. With its manifest it can be brought back; a deletion begins with that.
 */
export interface TrashedRun {
  /** Name of its folder: the run, a dot, and 20 hexadecimal digits. */
  readonly name: string;
  readonly run: RunName;
  /** By the storage's clock. */
  readonly trashedAtMs: number;
}

export const TRASH_SUFFIXES = ['.impl', '.json', '.diff'] as const;
export type TrashSuffix = (typeof TRASH_SUFFIXES)[number];

/** @param random - 32 bits that make it unique */
export function trashName(run: RunName, nowMs: number, random: number): string {
  return `${run}.${hex(Math.max(0, Math.floor(nowMs)), TIME_DIGITS)}${hex(random >>> 0, RANDOM_DIGITS)}`;
}

/** Undefined if `name` was not made by `trashName`: then it is something that was given up, and nobody wants it back. */
export function parseTrashName(
  name: string,
): (TrashedRun & { readonly suffix: TrashSuffix | undefined }) | undefined {
  const match = /^([0-9_]+)\.([0-9a-f]{12})[0-9a-f]{8}(\.impl|\.json|\.diff)?$/.exec(name);
  const run = parseRunName(match?.[1] ?? '');
  if (run === undefined || match?.[2] === undefined) return undefined;
  const suffix = TRASH_SUFFIXES.find((known) => known === match[3]);
  return {
    name: suffix === undefined ? name : name.slice(0, -suffix.length),
    run,
    trashedAtMs: Number.parseInt(match[2], 16),
    suffix,
  };
}

/**
 * Whether the time to bring it back is over. A date in the future was made by a clock that was wrong, then or now: it
 * counts from the moment the folder was renamed, as the file system says.
 *
 * @param renamedAtMs - ctime of its folder
 */
export function isDue(
  trashed: { readonly trashedAtMs: number; readonly renamedAtMs: number },
  { nowMs, keepHours }: { nowMs: number; keepHours: number },
): boolean {
  const sinceMs = trashed.trashedAtMs <= nowMs ? trashed.trashedAtMs : trashed.renamedAtMs;
  return nowMs - sinceMs >= keepHours * HOUR_MS;
}

const TIME_DIGITS = 12;
const RANDOM_DIGITS = 8;
const HOUR_MS = 3_600_000;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0').slice(-digits);
}
