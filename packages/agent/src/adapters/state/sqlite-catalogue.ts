import Database from 'better-sqlite3';
import type { Catalogue, InodeKey, KnownContent } from '../../ports/state-folder.ts';

/** Raised when the tables change: an older file is emptied, it can always be filled again. */
const SCHEMA_VERSION = 1;
/** Rows that one transaction takes; a kill loses at most these, which only costs sending them again. */
const ROWS_A_TRANSACTION = 2000;

/**
 * Content known in the account, in SQLite. `content` has one row a content: where it lies, and the inode that it was read
 * from. A file that was moved is found by the inode, a copied one by size and hash.
 */
export class SqliteCatalogue implements Catalogue {
  readonly #database: Database.Database;
  readonly #statements: Statements;
  readonly #folderIds = new Map<string, number>();
  readonly #folderNames = new Map<number, string>();
  /** Sizes of all rows while they are few enough to be kept at hand; undefined once they are not. */
  #sizes: Set<number> | undefined;
  #openRows = 0;

  /** @param file - made if missing; emptied if it belongs to another account or can't be read */
  constructor(file: string, accountId: string) {
    this.#database = new Database(file);
    this.#database.pragma('journal_mode = WAL');
    this.#database.pragma('synchronous = NORMAL');
    const isOurs = this.#database.pragma('user_version', { simple: true }) === SCHEMA_VERSION;
    if (!isOurs) this.#reset();
    this.#statements = prepare(this.#database);
    if (isOurs && this.#about('account') !== accountId) {
      this.#database.exec('DELETE FROM content; DELETE FROM folder; DELETE FROM about;');
    }
    this.#statements.setAbout.run('account', accountId);
    for (const { id, name } of this.#statements.allFolders.all()) this.#remember(id, name);
    const sizes = this.#statements.someSizes.all(MAX_SIZES_AT_HAND + 1);
    if (sizes.length <= MAX_SIZES_AT_HAND) this.#sizes = new Set(sizes.map((row) => row.size));
  }

  hasSize(sizeBytes: number): boolean {
    return this.#sizes ? this.#sizes.has(sizeBytes) : this.#statements.bySize.get(sizeBytes) !== undefined;
  }

  byContent(sizeBytes: number, sha256: Buffer): KnownContent | undefined {
    if (this.#sizes && !this.#sizes.has(sizeBytes)) return undefined;
    const row = this.#statements.byContent.get(sizeBytes, sha256);
    return row && { folder: this.#folderName(row.folder), path: row.path, sha256 };
  }

  byInode(key: InodeKey): KnownContent | undefined {
    const rows = this.#statements.byInode.all(key.inode.toString(), key.mtimeNs.toString());
    const row = rows.find((found) => found.size === key.sizeBytes && found.filesystem.equals(key.filesystem));
    return row && { folder: this.#folderName(row.folder), path: row.path, sha256: row.sha256 };
  }

  add(content: KnownContent & InodeKey): void {
    if (this.#openRows === 0) this.#database.exec('BEGIN');
    this.#statements.add.run(
      content.sizeBytes,
      content.sha256,
      this.#folderId(content.folder),
      content.path,
      content.filesystem,
      content.inode.toString(),
      content.mtimeNs.toString(),
    );
    this.#noteSize(content.sizeBytes);
    if (++this.#openRows >= ROWS_A_TRANSACTION) this.flush();
  }

  forget(sizeBytes: number, sha256: Buffer): void {
    this.#statements.forget.run(sizeBytes, sha256);
  }

  folders(): readonly string[] {
    return [...this.#folderIds.keys()];
  }

  covers(): string | undefined {
    return this.#about('covers');
  }

  setCovers(run: string | undefined): void {
    this.#statements.setAbout.run('covers', run ?? '');
    this.flush();
  }

  renameFolder(from: string, to: string): void {
    const id = this.#folderIds.get(from);
    if (id === undefined) return;
    this.flush();
    this.#statements.renameFolder.run(to, id);
    this.#folderIds.delete(from);
    this.#remember(id, to);
  }

  forgetFolder(folder: string): void {
    const id = this.#folderIds.get(folder);
    if (id === undefined) return;
    this.flush();
    this.#statements.forgetRows.run(id);
    this.#statements.forgetFolder.run(id);
    this.#folderIds.delete(folder);
    this.#folderNames.delete(id);
  }

  flush(): void {
    if (this.#openRows > 0) this.#database.exec('COMMIT');
    this.#openRows = 0;
  }

  [Symbol.dispose](): void {
    if (!this.#database.open) return;
    this.flush();
    this.#database.close();
  }

  #noteSize(sizeBytes: number): void {
    this.#sizes?.add(sizeBytes);
    if (this.#sizes && this.#sizes.size > MAX_SIZES_AT_HAND) this.#sizes = undefined;
  }

  #folderId(name: string): number {
    const known = this.#folderIds.get(name);
    if (known !== undefined) return known;
    const id = Number(this.#statements.addFolder.run(name).lastInsertRowid);
    this.#remember(id, name);
    return id;
  }

  #folderName(id: number): string {
    const name = this.#folderNames.get(id);
    if (name === undefined) throw new Error(`catalogue row points at unknown folder ${id}`);
    return name;
  }

  #remember(id: number, name: string): void {
    this.#folderIds.set(name, id);
    this.#folderNames.set(id, name);
  }

  #about(key: string): string | undefined {
    return this.#statements.about.get(key)?.value || undefined;
  }

  #reset(): void {
    this.#database.exec(`
      DROP TABLE IF EXISTS content; DROP TABLE IF EXISTS folder; DROP TABLE IF EXISTS about;
      CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
      CREATE TABLE content (
        size INTEGER NOT NULL, sha256 BLOB NOT NULL, folder INTEGER NOT NULL, path BLOB NOT NULL,
        filesystem BLOB NOT NULL, inode TEXT NOT NULL, mtimeNs TEXT NOT NULL,
        PRIMARY KEY (size, sha256)
      ) WITHOUT ROWID;
      CREATE INDEX content_by_inode ON content (inode, mtimeNs);
      PRAGMA user_version = ${SCHEMA_VERSION};`);
  }
}

/** 65,536 numbers are about 4 MiB at the most. */
const MAX_SIZES_AT_HAND = 65_536;

interface Place {
  readonly folder: number;
  readonly path: Buffer;
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: Database.Database) {
  return {
    about: database.prepare<[string], { value: string }>('SELECT value FROM about WHERE key = ?'),
    setAbout: database.prepare<[string, string]>('INSERT OR REPLACE INTO about VALUES (?, ?)'),
    allFolders: database.prepare<[], { id: number; name: string }>('SELECT id, name FROM folder'),
    addFolder: database.prepare<[string]>('INSERT INTO folder (name) VALUES (?)'),
    renameFolder: database.prepare<[string, number]>('UPDATE folder SET name = ? WHERE id = ?'),
    forgetFolder: database.prepare<[number]>('DELETE FROM folder WHERE id = ?'),
    forgetRows: database.prepare<[number]>('DELETE FROM content WHERE folder = ?'),
    someSizes: database.prepare<[number], { size: number }>('SELECT DISTINCT size FROM content LIMIT ?'),
    bySize: database.prepare<[number], { size: number }>('SELECT size FROM content WHERE size = ? LIMIT 1'),
    byContent: database.prepare<[number, Buffer], Place>(
      'SELECT folder, path FROM content WHERE size = ? AND sha256 = ?',
    ),
    byInode: database.prepare<[string, string], Place & { size: number; sha256: Buffer; filesystem: Buffer }>(
      'SELECT size, sha256, folder, path, filesystem FROM content WHERE inode = ? AND mtimeNs = ?',
    ),
    add: database.prepare<[number, Buffer, number, Buffer, Buffer, string, string]>(
      'INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    forget: database.prepare<[number, Buffer]>('DELETE FROM content WHERE size = ? AND sha256 = ?'),
  };
}
