/** Decimal units, as disks and lines are sold: `999 B`, `1.2 kB`, `3.4 GB`. */
export function formatBytes(bytes: number): string {
  return inUnits(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
}

/** Powers of 1024, as limits and volumes are set: `20G` is `20.0 GiB`. */
export function formatSpace(bytes: number): string {
  return inUnits(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);
}

function inUnits(bytes: number, step: number, units: readonly [string, ...string[]]): string {
  let value = bytes;
  let unit = 0;
  // 999.7 would be shown as 1000 of the smaller unit.
  while (value >= (unit === 0 ? step : step - 0.5) && unit < units.length - 1) {
    value /= step;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(value < 99.95 ? 1 : 0)} ${units[unit] ?? units[0]}`;
}

/** `12,345` */
export function formatCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** `1 file`, `12,345 files`; `plural` where an s is not enough. */
export function formatCounted(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** The two largest units: `3 s`, `2 min 5 s`, `1 h 20 min`, `3 d 4 h`; `less than 1 s` for none and below. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  if (first === -1) return 'less than 1 s';
  const [length, name] = units[first] ?? [1, 's'];
  const shown = `${Math.floor(seconds / length)} ${name}`;
  const next = units[first + 1];
  const rest = next === undefined ? 0 : Math.floor((seconds % length) / next[0]);
  return rest === 0 || next === undefined ? shown : `${shown} ${rest} ${next[1]}`;
}

/** `2024-04-19 03:12 UTC`, so that it reads the same on every machine; `unknown` for what is no date. */
export function formatDate(timeMs: number): string {
  if (!Number.isFinite(timeMs) || Math.abs(timeMs) > 8.64e15) return 'unknown';
  return `${new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
