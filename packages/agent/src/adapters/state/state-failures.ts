import { errnoOf } from '@bakker/linux';
import { AgentError } from '../../errors.ts';

/** Whether SQLite says that the bytes of a database are not those that were written. */
export function isDamagedDatabase(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  return code !== undefined && (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB');
}

/** What the file system of the state folder refuses, as an AgentError; any other error as it is. */
export function explainState(error: unknown, dir: string, wanted: 'read' | 'written' = 'written'): unknown {
  const found = REFUSALS.find(({ codes }) => codes.test(sqliteCodeOf(error) ?? errnoOf(error) ?? ''));
  if (found === undefined) return error;
  return new AgentError('STATE_UNUSABLE', `the state folder ${dir} ${found.words(wanted)}`, {
    hint: found.hint,
    cause: error,
  });
}

/** Without loading SQLite, which few commands need. */
function sqliteCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'SqliteError' || !('code' in error)) return undefined;
  return String(error.code);
}

const REFUSALS: readonly {
  readonly codes: RegExp;
  readonly words: (wanted: string) => string;
  readonly hint: string;
}[] = [
  {
    codes: /^(ENOSPC|EDQUOT|SQLITE_FULL)$/,
    words: () => 'is on a file system without room',
    hint: 'make room there, or name another folder with --state DIR; then run the command again: what arrived is kept',
  },
  {
    codes: /^(EROFS|EACCES|EPERM|SQLITE_READONLY.*|SQLITE_CANTOPEN.*)$/,
    words: (wanted) => `can't be ${wanted}`,
    hint: 'run as root, mount it writable, or name a folder of your own with --state DIR',
  },
  {
    codes: /^(EIO|SQLITE_IOERR.*)$/,
    words: () => 'is on a disk that reports errors',
    hint: 'look at its log (dmesg, smartctl -a); nothing in it is needed for a backup: --state DIR may name a new, empty folder',
  },
];
