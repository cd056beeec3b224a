import fs from 'node:fs';
import path from 'node:path';
import { AgentError } from '../../errors.ts';
import { replaceDump, syncPath } from './dump-file.ts';

export interface BackupFiles {
  /** The content of `backup_label`. */
  readonly label: Buffer;
  /** The content of `tablespace_map`; empty if there are no tablespaces. */
  readonly map: Buffer;
  /** The `pg_wal` folder. */
  readonly folder: string;
  readonly segmentBytes: number;
  /** The segment that the backup mode ended in. */
  readonly lastSegment: string;
  readonly signal: AbortSignal;
}

/**
 * Keeps what makes a consistent state of snapshots taken in backup mode: `backup_label`, `tablespace_map`, and below
 * `pg_wal` every segment of the log from the mode's start to its end.
 *
 * @throws AgentError QUIESCE_FAILED if the server has removed one of them already
 */
export async function keepBackupFiles(target: string, files: BackupFiles): Promise<void> {
  const { label, map, folder, segmentBytes, lastSegment, signal } = files;
  const firstSegment = /^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)/m.exec(label.toString('utf8'))?.[1];
  if (firstSegment === undefined) throw new AgentError('QUIESCE_FAILED', 'the backup label names no start');
  const segments = segmentsBetween(firstSegment, lastSegment, segmentBytes);
  await replaceDump(target, async (part) => {
    const wal = path.join(part, 'pg_wal');
    fs.mkdirSync(wal, { recursive: true, mode: 0o700 });
    writeSynced(path.join(part, 'backup_label'), label);
    if (map.length > 0) writeSynced(path.join(part, 'tablespace_map'), map);
    for (const segment of segments) {
      signal.throwIfAborted();
      await fs.promises.copyFile(path.join(folder, segment), path.join(wal, segment));
      syncPath(path.join(wal, segment));
    }
    syncPath(wal);
  });
}

/** Names are the timeline and the number of the segment, in two halves. */
function segmentsBetween(first: string, last: string, segmentBytes: number): string[] {
  const perFile = 2 ** 32 / segmentBytes;
  const timeline = first.slice(0, 8);
  const number = (name: string): number =>
    parseInt(name.slice(8, 16), 16) * perFile + parseInt(name.slice(16), 16);
  const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
  if (!last.startsWith(timeline) || !/^[0-9A-F]{24}$/.test(last)) {
    throw new AgentError('QUIESCE_FAILED', `the log went from ${first} to ${last}: another timeline`);
  }
  const names: string[] = [];
  for (let at = number(first); at <= number(last); at++) {
    names.push(`${timeline}${hex(Math.floor(at / perFile))}${hex(at % perFile)}`);
  }
  return names;
}

function writeSynced(file: string, bytes: Buffer): void {
  fs.writeFileSync(file, bytes, { flag: 'wx', mode: 0o600, flush: true });
}
