import { EntryLines, type RunName } from '@bakker/impl-format';
import type { Hit } from '../../ports/findings.ts';
import { explained, openTemporaryDatabase } from './temporary-database.ts';

interface Row {
  readonly run: RunName;
  readonly line: Buffer;
}

/** Hits in a temporary table, each with the line of its entry. */
export class HitTable implements Iterable<Hit> {
  readonly #lines = new EntryLines();
  readonly #database = openTemporaryDatabase(
    'CREATE TABLE hit (id INTEGER PRIMARY KEY, run TEXT NOT NULL, line BLOB NOT NULL)',
  );
  readonly #insert = this.#database.prepare<[string, Buffer]>('INSERT INTO hit (run, line) VALUES (?, ?)');
  readonly #rows = this.#database.prepare<[], Row>('SELECT run, line FROM hit ORDER BY id');

  add({ run, entry }: Hit): void {
    explained(() => this.#insert.run(run, this.#lines.encode(entry)));
  }

  *[Symbol.iterator](): Generator<Hit> {
    for (const { run, line } of this.#rows.iterate()) yield { run, entry: this.#lines.decode(line) };
  }
}
