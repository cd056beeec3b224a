import Database from 'better-sqlite3';
import fs from 'node:fs';
import type { ParentFolder, Scratch } from '../../ports/state-folder.ts';

const SLASH = 0x2f;

/** Tables that no run needs after its end: nothing is flushed, and what a killed process leaves is removed by the next. */
export class SqliteScratch implements Scratch {
  readonly #file: string;
  readonly #database: Database.Database;
  readonly #statements: ReturnType<typeof prepare>;

  /** @param file - a place for it; what is there goes */
  constructor(file: string) {
    this.#file = file;
    fs.rmSync(file, { force: true });
    fs.closeSync(fs.openSync(file, 'wx', 0o600));
    this.#database = new Database(file);
    this.#database.pragma('journal_mode = OFF');
    this.#database.pragma('synchronous = OFF');
    this.#database.exec(`
      CREATE TABLE folder (filesystem BLOB, inode INTEGER, path BLOB, nameId BLOB, PRIMARY KEY (inode, filesystem)) WITHOUT ROWID;
      CREATE TABLE path (key BLOB PRIMARY KEY) WITHOUT ROWID;
      BEGIN;`);
    this.#statements = prepare(this.#database);
  }

  addFolder({ filesystem, inode, path, nameId }: ParentFolder): void {
    this.#statements.addFolder.run(filesystem, asSigned(inode), path, nameId);
  }

  folderByInode(filesystem: Buffer, inode: bigint): ParentFolder | undefined {
    const row = this.#statements.folder.get(asSigned(inode), filesystem);
    return row && { filesystem, inode, path: row.path, nameId: row.nameId };
  }

  addPath(path: Buffer): void {
    this.#statements.addPath.run(exchanged(path, SLASH, 0));
  }

  *paths(): IterableIterator<Buffer> {
    for (const { key } of this.#statements.paths.iterate()) yield exchanged(key, 0, SLASH);
  }

  [Symbol.dispose](): void {
    if (!this.#database.open) return;
    this.#database.close();
    fs.rmSync(this.#file, { force: true });
  }
}

/** With `/` as a NUL, which no path has, SQLite's order of bytes is the order of paths. */
function exchanged(path: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.from(path);
  for (let at = copy.indexOf(from); at !== -1; at = copy.indexOf(from, at + 1)) copy[at] = to;
  return copy;
}

/** SQLite's integers are signed. */
function asSigned(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

function prepare(database: Database.Database) {
  return {
    addFolder: database.prepare<[Buffer, bigint, Buffer, Buffer]>(
      'INSERT OR REPLACE INTO folder (filesystem, inode, path, nameId) VALUES (?, ?, ?, ?)',
    ),
    folder: database.prepare<[bigint, Buffer], { path: Buffer; nameId: Buffer }>(
      'SELECT path, nameId FROM folder WHERE inode = ? AND filesystem = ?',
    ),
    addPath: database.prepare<[Buffer]>('INSERT OR IGNORE INTO path (key) VALUES (?)'),
    paths: database.prepare<[], { key: Buffer }>('SELECT key FROM path ORDER BY key'),
  };
}
