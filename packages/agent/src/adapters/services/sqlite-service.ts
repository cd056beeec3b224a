import Database from 'better-sqlite3';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SqliteSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService } from '../../ports/services.ts';
import { realFolders } from './data-folders.ts';

const TRY_AGAIN_MS = 25;

/**
 * Holds the write lock of SQLite databases: readers go on, writers wait. The kernel drops it when bakker dies, and also as soon
 * as any descriptor of the file is closed in this process (fcntl(2)), as copying it does: only a snapshot has it whole.
 */
export function prepareSqlite({ files }: SqliteSettings): PreparedService {
  const held: Database.Database[] = [];
  return {
    undo: undefined,
    standsStill: true,
    enter: async ({ signal }) => {
      for (const file of files) held.push(await lockDatabase(file, signal));
    },
    leave: async () => {
      // closing drops the lock
      for (const database of held.splice(0).toReversed()) database.close();
    },
    files: () => [],
    // each by itself: while no copy is made the lock is held, on whatever volume
    oneMoment: () => files.map((file) => realFolders(file, [])),
  };
}

async function lockDatabase(file: string, signal: AbortSignal): Promise<Database.Database> {
  const database = openDatabase(file);
  try {
    for (;;) {
      signal.throwIfAborted();
      if (beginWriting(database, file)) return database;
      // not SQLite's own waiting, which would hold up the whole process
      await sleep(TRY_AGAIN_MS, undefined, { signal });
    }
  } catch (error) {
    database.close();
    throw error;
  }
}

function beginWriting(database: Database.Database, file: string): boolean {
  try {
    database.exec('BEGIN IMMEDIATE');
    return true;
  } catch (cause) {
    if (cause instanceof Database.SqliteError && cause.code.startsWith('SQLITE_BUSY')) return false;
    throw sqliteFailure(file, cause);
  }
}

function openDatabase(file: string): Database.Database {
  try {
    return new Database(file, { fileMustExist: true, timeout: 0 });
  } catch (cause) {
    throw sqliteFailure(file, cause);
  }
}

/** @returns the error that says which database, and why */
export function sqliteFailure(file: string, cause: unknown): AgentError {
  if (cause instanceof AgentError) {
    const { code, hint, message } = cause;
    return new AgentError(code, `the database ${file} ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('QUIESCE_FAILED', `the database ${file}: ${why}`, { cause });
}
