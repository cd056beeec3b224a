import fs from 'node:fs';
import path from 'node:path';

/** Where the undo journal lies. */
export function journalFile(stateDir: string): string {
  return path.join(stateDir, 'undo.sqlite');
}

/** Whether there is a journal: without one nothing was ever recorded, and SQLite need not be loaded to know. */
export function hasJournal(stateDir: string): boolean {
  return fs.existsSync(journalFile(stateDir));
}
