import type { LvmSize } from '../config/snapshot-settings.ts';

/** The fields that `lvs` is asked for, and `parseLvmReport` reads. */
export const LVM_FIELDS = [
  'vg_name',
  'lv_name',
  'lv_path',
  'lv_attr',
  'lv_size',
  'origin',
  'pool_lv',
  'data_percent',
  'metadata_percent',
  'lv_tags',
  'lv_kernel_major',
  'lv_kernel_minor',
  'vg_free',
  'vg_extent_size',
] as const;

/** A logical volume as `lvs` shows it. */
export interface LogicalVolume {
  readonly group: string;
  readonly name: string;
  readonly path: string;
  readonly attributes: string;
  readonly sizeBytes: number;
  /** Empty for what is no snapshot. */
  readonly origin: string;
  /** Thin pool that it lies in, or cache pool that it has (see `isThin`); empty for others. */
  readonly pool: string;
  /** How full a snapshot or pool is; undefined where there is nothing to fill. */
  readonly dataPercent: number | undefined;
  readonly metadataPercent: number | undefined;
  readonly tags: readonly string[];
  /** -1 if it is not active. */
  readonly major: number;
  readonly minor: number;
  readonly groupFreeBytes: number;
  readonly extentBytes: number;
}

/** Reads `lvs --reportformat json --units b --nosuffix -o LVM_FIELDS`. Undefined if it is no such report. */
export function parseLvmReport(text: string): LogicalVolume[] | undefined {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return undefined;
  }
  const volumes: LogicalVolume[] = [];
  for (const part of listIn(report, 'report') ?? [undefined]) {
    const rows = listIn(part, 'lv');
    if (rows === undefined) return undefined;
    for (const row of rows) {
      const volume = parseRow(row);
      if (volume === undefined) return undefined;
      volumes.push(volume);
    }
  }
  return volumes;
}

/** What can be read off `lv_attr` (lvs(8), "Notes") of a snapshot. */
export type SnapshotState = 'good' | 'invalid' | 'suspended' | 'inactive' | 'failed';

export function stateOf({ attributes }: Pick<LogicalVolume, 'attributes'>): SnapshotState {
  const state = attributes[4];
  const health = attributes[8];
  // A snapshot that ran full is dropped by the kernel: I, or S while it is suspended.
  if (state === 'I' || state === 'S') return 'invalid';
  if (health === 'F' || health === 'D' || health === 'M' || health === 'p' || health === 'X') return 'failed';
  if (state === 's') return 'suspended';
  return state === 'a' ? 'good' : 'inactive';
}

/** A pool alone does not say so: a cached volume (dm-cache, dm-writecache) has one, too. */
export function isThin({ attributes }: Pick<LogicalVolume, 'attributes'>): boolean {
  return attributes.startsWith('V');
}

/** Why no snapshot can be made of a volume; undefined if one can. */
export function whyNoSnapshot({ attributes }: Pick<LogicalVolume, 'attributes'>): string | undefined {
  const type = attributes[0] ?? '';
  if (type === 's' || type === 'S') return 'it is a snapshot itself';
  if (type === 'O') return 'a snapshot is being merged into it';
  if ('-omMrRCV'.includes(type)) return undefined;
  return `it is of a kind (${attributes}) that has no snapshots`;
}

/** Bytes of a thick snapshot, in whole extents, never more than can be filled. */
export function snapshotSizeBytes(
  size: LvmSize,
  origin: Pick<LogicalVolume, 'sizeBytes' | 'extentBytes'>,
): number {
  const wanted = 'share' in size ? Math.ceil(origin.sizeBytes * size.share) : size.sizeBytes;
  const least = Math.max(wanted, LEAST_SNAPSHOT_BYTES);
  return Math.min(inExtents(least, origin.extentBytes), alwaysEnoughBytes(origin));
}

/** A snapshot of this size can't overflow: all of the origin, and what notes where its chunks lie. */
export function alwaysEnoughBytes(origin: Pick<LogicalVolume, 'sizeBytes' | 'extentBytes'>): number {
  return inExtents(
    origin.sizeBytes + Math.ceil(origin.sizeBytes / EXCEPTIONS_A_CHUNK) + 2 * CHUNK_BYTES,
    origin.extentBytes,
  );
}

/**
 * What would have been enough for a snapshot that overflowed: twice its size, or all that was written meanwhile and a
 * quarter more, whichever is more.
 *
 * @param writtenBytes - to the origin since the snapshot, until now
 */
export function enoughBytes(
  origin: Pick<LogicalVolume, 'sizeBytes' | 'extentBytes'>,
  { sizeBytes, writtenBytes }: { sizeBytes: number; writtenBytes: number },
): number {
  const guess = Math.max(2 * sizeBytes, Math.ceil(writtenBytes * 1.25));
  return Math.min(inExtents(guess, origin.extentBytes), alwaysEnoughBytes(origin));
}

/** `1.5 GiB`. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || Number.isInteger(value) ? Math.ceil(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** As lvcreate(8) makes them by default. */
const CHUNK_BYTES = 4096;
/** A chunk of notes says where this many chunks of data are. */
const EXCEPTIONS_A_CHUNK = CHUNK_BYTES / 16;
/** Mounting alone writes: a journal is replayed into it. */
const LEAST_SNAPSHOT_BYTES = 16 * 2 ** 20;

function inExtents(bytes: number, extentBytes: number): number {
  return Math.ceil(bytes / extentBytes) * extentBytes;
}

function parseRow(row: unknown): LogicalVolume | undefined {
  const text = (field: (typeof LVM_FIELDS)[number]): string | undefined => {
    const value: unknown = isMap(row) ? row[field] : undefined;
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  };
  const number = (field: (typeof LVM_FIELDS)[number]): number => Number(text(field) ?? NaN);
  const percent = (field: (typeof LVM_FIELDS)[number]): number | undefined =>
    text(field) === '' ? undefined : number(field);
  const group = text('vg_name');
  const name = text('lv_name');
  const attributes = text('lv_attr');
  const sizes = [number('lv_size'), number('vg_free'), number('vg_extent_size')];
  if (!group || !name || attributes === undefined || sizes.some(Number.isNaN)) return undefined;
  return {
    group,
    name,
    path: text('lv_path') ?? '',
    attributes,
    sizeBytes: number('lv_size'),
    origin: text('origin') ?? '',
    pool: text('pool_lv') ?? '',
    dataPercent: percent('data_percent'),
    metadataPercent: percent('metadata_percent'),
    tags: (text('lv_tags') ?? '').split(',').filter(Boolean),
    major: number('lv_kernel_major'),
    minor: number('lv_kernel_minor'),
    groupFreeBytes: number('vg_free'),
    extentBytes: number('vg_extent_size'),
  };
}

function listIn(value: unknown, key: string): readonly unknown[] | undefined {
  const list: unknown = isMap(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
