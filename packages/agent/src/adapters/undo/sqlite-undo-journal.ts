import { syncEverything } from '@bakker/linux';
import Database from 'better-sqlite3';
import fs from 'node:fs';
import path from 'node:path';
import { AgentError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { JsonValue, PendingUndo, UndoId, UndoJournal, UndoStep } from '../../ports/undo-journal.ts';
import { journalFile } from './journal-file.ts';

const SCHEMA_VERSION = 1;
/** Another process writes for a moment only: the run lock keeps two runs apart. */
const BUSY_TIMEOUT_MS = 5_000;
/** Services run meanwhile, and a slow disk may have gigabytes to write. */
const SYNC_TIMEOUT_MS = 5 * 60_000;

/**
 * The undo journal in SQLite: `undo.sqlite` in the state folder. A row is on the disk once its transaction ends
 * (write-ahead log, synced at each commit), and an unreadable journal is an error: what it had may still have to be undone.
 */
export class SqliteUndoJournal implements UndoJournal, Disposable {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #database: Database.Database;

  /** @throws AgentError STATE_UNUSABLE */
  constructor(stateDir: string, clock: Clock) {
    this.#file = journalFile(stateDir);
    this.#clock = clock;
    this.#database = this.#guard(() => {
      const isNew = !fs.existsSync(this.#file);
      const database = open(this.#file);
      // the names of a new journal, and of a new folder, must outlive the power too
      if (isNew) for (const folder of [stateDir, path.dirname(stateDir)]) syncFolder(folder);
      return database;
    });
  }

  record(step: UndoStep): UndoId {
    const text = JSON.stringify(step);
    return this.#guard(() => {
      const insert = this.#database.prepare('INSERT INTO undo (recorded_at_ms, step) VALUES (?, ?)');
      return toId(Number(insert.run(this.#clock.nowMs(), text).lastInsertRowid));
    });
  }

  settle(id: UndoId): void {
    this.#guard(() => this.#database.prepare('DELETE FROM undo WHERE id = ?').run(id));
  }

  async settleOnDisk(ids: readonly UndoId[]): Promise<void> {
    if (ids.length === 0 || !(await syncEverything(SYNC_TIMEOUT_MS))) return;
    for (const id of ids) this.settle(id);
  }

  pending(): readonly PendingUndo[] {
    return this.#guard(() =>
      this.#database
        .prepare<[], Row>('SELECT id, recorded_at_ms AS recordedAtMs, step FROM undo ORDER BY id DESC')
        .all()
        .map(({ id, recordedAtMs, step }) => ({ id: toId(id), recordedAtMs, step: parseStep(step) })),
    );
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #guard<Value>(act: () => Value): Value {
    try {
      return act();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AgentError('STATE_UNUSABLE', `the undo journal ${this.#file} can't be used: ${why}`, {
        hint: 'see that the disk has room; it says what must be undone, so move it away only after you have looked that no service stands still and no snapshot is left',
        cause,
      });
    }
  }
}

interface Row {
  readonly id: number;
  readonly recordedAtMs: number;
  readonly step: string;
}

function open(file: string): Database.Database {
  const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  fs.closeSync(descriptor);
  const database = new Database(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    const version = database.pragma('user_version', { simple: true });
    if (version === 0) {
      database.exec(`BEGIN IMMEDIATE;
        CREATE TABLE IF NOT EXISTS undo (id INTEGER PRIMARY KEY AUTOINCREMENT, recorded_at_ms REAL NOT NULL, step TEXT NOT NULL);
        PRAGMA user_version = ${SCHEMA_VERSION};
        COMMIT;`);
    } else if (version !== SCHEMA_VERSION) throw new Error('it was written by another version of bakker');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function syncFolder(folder: string): void {
  const descriptor = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function parseStep(text: string): UndoStep {
  const value: unknown = JSON.parse(text);
  if (isStep(value)) return value;
  throw new Error('it has a row that is no step');
}

function isStep(value: unknown): value is UndoStep & Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}

function toId(id: number): UndoId {
  return id as UndoId;
}
