import type { Difference, Differences, Identity } from '../../ports/findings.ts';
import { explained, openTemporaryDatabase } from './temporary-database.ts';

interface Row {
  readonly path: Buffer;
  readonly change: Difference['change'];
  readonly origin: Buffer | null;
}

/** Differences in a temporary table, which finds what was moved by sorting. */
export class TemporaryDifferences implements Differences {
  readonly #database = openTemporaryDatabase(`
    CREATE TABLE difference (
      id INTEGER PRIMARY KEY, path BLOB NOT NULL, change TEXT NOT NULL, inode TEXT, content TEXT, origin INTEGER, isMoved INTEGER
    )`);
  readonly #insert = this.#database.prepare<[Buffer, string, string | null, string | null]>(
    'INSERT INTO difference (path, change, inode, content) VALUES (?, ?, ?, ?)',
  );
  readonly #rows = this.#database.prepare<[], Row>(`
    SELECT one.path, one.change, origin.path AS origin
    FROM difference one LEFT JOIN difference origin ON origin.id = one.origin
    WHERE one.isMoved IS NULL ORDER BY one.id`);
  readonly #number = this.#database
    .prepare<[], number>('SELECT count(*) FROM difference WHERE isMoved IS NULL')
    .pluck();

  get count(): number {
    return this.#number.get() ?? 0;
  }

  add(path: Buffer, change: 'content' | 'metadata'): void {
    explained(() => this.#insert.run(path, change, null, null));
  }

  addLone(path: Buffer, change: 'added' | 'removed', { inode, content }: Identity): void {
    explained(() => this.#insert.run(path, change, inode, content ?? null));
  }

  findMoves(): void {
    explained(() => {
      for (const key of ['inode', 'content']) this.#database.exec(movesBy(key));
      this.#database.exec(`
        UPDATE difference SET change = 'moved' WHERE origin IS NOT NULL;`);
    });
  }

  *[Symbol.iterator](): Generator<Difference> {
    for (const { path, change, origin } of this.#rows.iterate())
      yield origin === null ? { path, change } : { path, change, from: origin };
  }
}

/** The first that was added gets the first that was removed with the same key, the second the second. */
function movesBy(key: string): string {
  const numbered = (change: string) =>
    `SELECT id, ${key}, row_number() OVER (PARTITION BY ${key} ORDER BY id) AS number
     FROM difference WHERE change = '${change}' AND ${key} IS NOT NULL AND origin IS NULL AND isMoved IS NULL`;
  return `
    CREATE TABLE pair AS
      SELECT added.id AS added, removed.id AS removed
      FROM (${numbered('added')}) added JOIN (${numbered('removed')}) removed USING (${key}, number);
    UPDATE difference SET origin = pair.removed FROM pair WHERE difference.id = pair.added;
    UPDATE difference SET isMoved = 1 FROM pair WHERE difference.id = pair.removed;
    DROP TABLE pair;`;
}
