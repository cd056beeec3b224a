import Database from 'better-sqlite3';
import { AgentError } from '../../errors.ts';

/**
 * A database that is in no folder: SQLite keeps it in memory as far as its cache goes, then in a file without a name, in the folder
 * that TMPDIR names or /var/tmp, which goes with this process.
 */
export function openTemporaryDatabase(tables: string): Database.Database {
  return explained(() => {
    const database = new Database('');
    database.pragma(`cache_size = -${CACHE_KIB}`);
    database.pragma('journal_mode = OFF');
    database.exec(`${tables}; BEGIN;`);
    return database;
  });
}

/** @throws AgentError STATE_UNUSABLE where the disk refuses what is to be kept */
export function explained<Value>(act: () => Value): Value {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    throw new AgentError(
      'STATE_UNUSABLE',
      `what was found can't be kept in a temporary file: ${error.message}`,
      {
        hint: 'name a folder with room for it in TMPDIR',
        cause: error,
      },
    );
  }
}

const CACHE_KIB = 8192;
