import type { OverflowTable } from '../../ports/overflow.ts';
import { explained, openTemporaryDatabase } from './temporary-database.ts';

/** Values in a temporary table. */
export class TemporaryOverflow implements OverflowTable {
  readonly #database = openTemporaryDatabase(
    'CREATE TABLE value (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
  );
  readonly #put = this.#database.prepare<[string, Buffer]>('INSERT INTO value (key, value) VALUES (?, ?)');
  readonly #take = this.#database
    .prepare<[string], Buffer>('DELETE FROM value WHERE key = ? RETURNING value')
    .pluck();
  readonly #values = this.#database.prepare<[], Buffer>('SELECT value FROM value').pluck();

  put(key: string, value: Buffer): void {
    explained(() => this.#put.run(key, value));
  }

  take(key: string): Buffer | undefined {
    return explained(() => this.#take.get(key));
  }

  values(): Iterable<Buffer> {
    return this.#values.iterate();
  }
}
