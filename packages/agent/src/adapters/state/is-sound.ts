import Database from 'better-sqlite3';
import fs from 'node:fs';

/** Whether SQLite finds a database whole; one that is not there is. */
export function isSound(file: string): boolean {
  if (!fs.existsSync(file)) return true;
  try {
    const database = new Database(file);
    try {
      return database.pragma('quick_check(1)', { simple: true }) === 'ok';
    } finally {
      database.close();
    }
  } catch {
    return false;
  }
}
