/** A line of fstab that is ours: device and mount point are plain texts without blanks. */
export interface FstabEntry {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: 'xfs' | 'ext4';
}

/** `nofail`: a storage whose one volume is lost still starts. Nothing on it is a program or a device. */
export function fstabLine({ device, mountPoint, type }: FstabEntry): string {
  return `${device} ${mountPoint} ${type} defaults,noatime,nodev,nosuid,noexec,nofail 0 ${type === 'ext4' ? 2 : 0}`;
}

/** The text with the entry's line; undefined if it has a line for the mount point and device already. Pure. */
export function withFstabEntry(text: string, entry: FstabEntry): string | undefined {
  if (text.split('\n').some((line) => isOf(line, entry))) return undefined;
  return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${fstabLine(entry)}\n`;
}

/** The text without it; undefined if it has none. */
export function withoutFstabEntry(text: string, entry: FstabEntry): string | undefined {
  const lines = text.split('\n');
  const kept = lines.filter((line) => !isOf(line, entry));
  return kept.length === lines.length ? undefined : kept.join('\n');
}

function isOf(line: string, { device, mountPoint }: FstabEntry): boolean {
  const [first, second] = line.trim().split(/\s+/);
  return first === device && second === mountPoint;
}
