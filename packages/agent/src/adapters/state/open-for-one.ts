import Database from 'better-sqlite3';

/**
 * Opens a database that nobody else has open: the state folder's lock is held. SQLite keeps the index of its log in memory then.
 * The file that it would share with others is written through a mapping, and where the disk has no room the kernel kills whoever
 * does that.
 */
export function openForOne(file: string): Database.Database {
  const database = new Database(file);
  database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  return database;
}
