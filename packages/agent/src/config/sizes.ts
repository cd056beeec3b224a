const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const FORM = /^(\d{1,9})([KMGT])$/;

/** `500M`, `20G`: whole binary units, as LVM means them. Undefined for anything else. */
export function parseSizeBytes(text: string): number | undefined {
  const [, count, unit] = FORM.exec(text) ?? [];
  const unitBytes = UNITS[unit ?? ''];
  if (count === undefined || unitBytes === undefined) return undefined;
  const bytes = Number(count) * unitBytes;
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
