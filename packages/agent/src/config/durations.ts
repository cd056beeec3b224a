const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/**
 * Reads `90s`, `90m`, `20h`, `1.5d`, `2w`, or 0 for none.
 *
 * @returns milliseconds; undefined if it is no duration
 */
export function parseDurationMs(value: unknown): number | undefined {
  if (value === 0 || value === '0') return 0;
  if (typeof value !== 'string') return undefined;
  const match = /^([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([smhdw])$/.exec(value.trim());
  const unit = match?.[2];
  if (match?.[1] === undefined || !isUnit(unit)) return undefined;
  return Math.round(Number(match[1]) * UNIT_MS[unit]);
}

function isUnit(unit: string | undefined): unit is keyof typeof UNIT_MS {
  return unit !== undefined && Object.hasOwn(UNIT_MS, unit);
}
