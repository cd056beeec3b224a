const UNIT_BYTES = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40, P: 2 ** 50 } as const;

/**
 * Reads `20G`, `1.5T`, `512 MiB` or a number of bytes. Units are of 1024, as LVM's are.
 *
 * @returns whole bytes; undefined if it is no size
 */
export function parseSizeBytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?:([KMGTP])(?:iB|B)?|B)?$/i.exec(value.trim());
  if (match?.[1] === undefined) return undefined;
  const unit = match[2]?.toUpperCase();
  const bytes = Number(match[1]) * (isUnit(unit) ? UNIT_BYTES[unit] : 1);
  return bytes <= Number.MAX_SAFE_INTEGER ? Math.round(bytes) : undefined;
}

/** The shortest form that `parseSizeBytes` reads back to the same number. */
export function formatSizeBytes(bytes: number): string | number {
  for (const unit of ['P', 'T', 'G', 'M', 'K'] as const) {
    const count = bytes / UNIT_BYTES[unit];
    if (count >= 1 && Number.isInteger(count)) return `${count}${unit}`;
  }
  return bytes;
}

function isUnit(unit: string | undefined): unit is keyof typeof UNIT_BYTES {
  return unit !== undefined && Object.hasOwn(UNIT_BYTES, unit);
}
