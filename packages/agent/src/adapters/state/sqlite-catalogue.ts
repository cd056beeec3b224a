import type Database from 'better-sqlite3';
import { NO_INODE } from '../../backup/lasting-inode.ts';
import type { Catalogue, InodeKey, KnownContent } from '../../ports/state-folder.ts';
import { openForOne } from './open-for-one.ts';

/** Raised when the tables change: an older file is emptied, it can always be filled again. */
const SCHEMA_VERSION = 3;
/** Rows that wait for one commit, and for how long at most: what a kill can lose, which only costs sending it again. */
const ROWS_A_TRANSACTION = 2000;
const COMMIT_AFTER_MS = 250;
/** Below this size content is read whole before anything is asked: only larger files ask by size alone. */
const ASKED_BY_SIZE_BYTES = 128 * 1024;
/** 65,536 numbers are about 4 MiB at the most; beyond it every size may be known. */
const MAX_SIZES_AT_HAND = 65_536;

/**
 * Content known in the account, in SQLite. `content` has one row a content: where it lies, and the inode that it was read
 * from. A file that was moved is found by the inode, a copied one by size and hash. Rows are appended and found by short
 * integer keys, which costs a third of a table ordered by hash.
 */
export class SqliteCatalogue implements Catalogue {
  readonly #database: Database.Database;
  readonly #statements: Statements;
  readonly #folders = new Names();
  readonly #filesystems = new Names();
  /** Sizes of all larger rows while they are few enough to be kept at hand; undefined once they are not. */
  #sizes: Set<number> | undefined;
  /** In a catalogue that began empty: hashes that may be in it. Saves nearly every look-up of a first run. */
  readonly #maybe: HashFilter | undefined;
  readonly #beganEmpty: boolean;
  #isIndexed = false;
  #openRows = 0;
  #commitTimer: NodeJS.Timeout | undefined;
  /** Of a commit that nobody waited for. */
  #failure: { readonly error: unknown } | undefined;

  /** @param file - made if missing; emptied if it belongs to another account */
  constructor(file: string, accountId: string) {
    this.#database = openForOne(file);
    // a first run would otherwise wait for the disk every 4 MiB
    this.#database.pragma('wal_autocheckpoint = 16384');
    const isOurs = this.#database.pragma('user_version', { simple: true }) === SCHEMA_VERSION;
    if (!isOurs) this.#reset();
    this.#statements = prepare(this.#database);
    if (isOurs && this.#about('account') !== accountId) {
      this.#database.exec(
        'DELETE FROM content; DELETE FROM folder; DELETE FROM filesystem; DELETE FROM about;',
      );
    }
    this.#statements.setAbout.run('account', accountId);
    for (const { id, name } of this.#statements.allFolders.all()) this.#folders.note(id, name);
    for (const { id, name } of this.#statements.allFilesystems.all()) this.#filesystems.note(id, name);
    const sizes = this.#statements.someSizes.all(ASKED_BY_SIZE_BYTES, MAX_SIZES_AT_HAND + 1);
    if (sizes.length <= MAX_SIZES_AT_HAND) this.#sizes = new Set(sizes.map((row) => row.size));
    this.#beganEmpty = this.#statements.any.get() === undefined;
    if (this.#beganEmpty) {
      this.#maybe = new HashFilter();
      this.#database.exec('DROP INDEX IF EXISTS content_by_key; DROP INDEX IF EXISTS content_by_inode;');
    } else this.#index();
  }

  hasSize(sizeBytes: number): boolean {
    return sizeBytes <= ASKED_BY_SIZE_BYTES || (this.#sizes?.has(sizeBytes) ?? true);
  }

  byContent(sizeBytes: number, sha256: Buffer): KnownContent | undefined {
    if (this.#maybe && !this.#maybe.has(sha256)) return undefined;
    this.#index();
    const row = this.#statements.byContent.get(keyOf(sha256), sha256);
    if (row?.size !== sizeBytes) return undefined;
    return {
      folder: this.#folders.name(row.folder),
      path: row.path,
      sha256,
      sealedBytes: row.sealed ?? undefined,
    };
  }

  byInode(key: InodeKey, at: Buffer): KnownContent | undefined {
    // what this run sent is found by its hard-link group
    if (this.#beganEmpty) return undefined;
    const filesystem = this.#filesystems.id(key.filesystem.toString('latin1'));
    if (filesystem === undefined) return undefined;
    const row = this.#statements.byInode.get(
      asSigned(key.inode),
      filesystem,
      key.sizeBytes,
      asSigned(key.mtimeNs),
      asSigned(key.ctimeNs ?? UNKNOWN),
      asSigned(key.bornNs ?? UNKNOWN),
      at,
    );
    if (row === undefined) return undefined;
    const { folder, path, sha256, sealed } = row;
    return { folder: this.#folders.name(folder), path, sha256, sealedBytes: sealed ?? undefined };
  }

  lastReadFrom(key: Pick<InodeKey, 'filesystem' | 'inode'>): Buffer | undefined {
    // nothing in it can be found by an inode before it is opened again
    if (this.#beganEmpty) return undefined;
    const filesystem = this.#filesystems.id(key.filesystem.toString('latin1'));
    if (filesystem === undefined) return undefined;
    return this.#statements.lastReadFrom.get(asSigned(key.inode), filesystem)?.sha256;
  }

  add(content: KnownContent & InodeKey): void {
    if (this.#failure) throw this.#failure.error;
    if (this.#openRows === 0) this.#begin();
    const { sizeBytes, sha256 } = content;
    this.#statements.add.run(
      keyOf(sha256),
      sha256,
      sizeBytes,
      this.#folderId(content.folder),
      content.path,
      this.#filesystemId(content.filesystem.toString('latin1')),
      asSigned(content.inode),
      asSigned(content.mtimeNs),
      asSigned(content.ctimeNs ?? UNKNOWN),
      asSigned(content.bornNs ?? UNKNOWN),
      content.sealedBytes ?? null,
    );
    this.#maybe?.add(sha256);
    if (sizeBytes > ASKED_BY_SIZE_BYTES) this.#noteSize(sizeBytes);
    if (++this.#openRows >= ROWS_A_TRANSACTION) this.flush();
  }

  doubtBirths(): void {
    this.flush();
    this.#statements.doubtBirths.run();
  }

  forget(_sizeBytes: number, sha256: Buffer): void {
    this.#index();
    this.#statements.doubtReadBeforeContent.run(keyOf(sha256), sha256);
    this.#statements.forget.run(keyOf(sha256), sha256);
  }

  folders(): readonly string[] {
    return this.#folders.all();
  }

  covers(): string | undefined {
    return this.#about('covers');
  }

  setCovers(run: string | undefined): void {
    this.flush(); // first: nothing is said of rows that were lost
    this.#index();
    this.#statements.setAbout.run('covers', run ?? '');
  }

  renameFolder(from: string, to: string): void {
    const id = this.#folders.id(from);
    if (id === undefined) return;
    this.flush();
    this.#statements.renameFolder.run(to, id);
    this.#folders.forget(from);
    this.#folders.note(id, to);
  }

  forgetFolder(folder: string): void {
    const id = this.#folders.id(folder);
    if (id === undefined) return;
    this.flush();
    this.#index();
    this.#statements.doubtReadBeforeFolder.run(id);
    this.#statements.forgetRows.run(id);
    this.#statements.forgetFolder.run(id);
    this.#folders.forget(folder);
  }

  flush(): void {
    clearTimeout(this.#commitTimer);
    // what SQLite undid because there was no room is no open transaction any more
    if (this.#failure) throw this.#failure.error;
    if (this.#openRows > 0) this.#database.exec('COMMIT');
    this.#openRows = 0;
  }

  [Symbol.dispose](): void {
    if (!this.#database.open) return;
    this.#flushIfPossible(); // whoever relies on it has flushed before
    this.#database.close();
  }

  /** A catalogue that is filled from empty is indexed late: sorted at once, the indexes cost a quarter. */
  #index(): void {
    if (this.#isIndexed) return;
    this.flush();
    this.#database.exec(INDEXES);
    this.#isIndexed = true;
  }

  #begin(): void {
    this.#database.exec('BEGIN');
    this.#commitTimer = setTimeout(() => this.#flushIfPossible(), COMMIT_AFTER_MS).unref();
  }

  #flushIfPossible(): void {
    try {
      this.flush();
    } catch (error) {
      this.#failure = { error };
    }
  }

  #noteSize(sizeBytes: number): void {
    this.#sizes?.add(sizeBytes);
    if (this.#sizes && this.#sizes.size > MAX_SIZES_AT_HAND) this.#sizes = undefined;
  }

  #folderId(name: string): number {
    return (
      this.#folders.id(name) ??
      this.#folders.note(Number(this.#statements.addFolder.run(name).lastInsertRowid), name)
    );
  }

  #filesystemId(name: string): number {
    const known = this.#filesystems.id(name);
    if (known !== undefined) return known;
    return this.#filesystems.note(Number(this.#statements.addFilesystem.run(name).lastInsertRowid), name);
  }

  #about(key: string): string | undefined {
    return this.#statements.about.get(key)?.value || undefined;
  }

  #reset(): void {
    this.#database.exec(`
      DROP TABLE IF EXISTS content; DROP TABLE IF EXISTS folder;
      DROP TABLE IF EXISTS filesystem; DROP TABLE IF EXISTS about;
      CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE folder (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
      CREATE TABLE filesystem (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
      CREATE TABLE content (
        id INTEGER PRIMARY KEY, key INTEGER NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,
        folder INTEGER NOT NULL, path BLOB NOT NULL,
        filesystem INTEGER NOT NULL, inode INTEGER NOT NULL, mtimeNs INTEGER NOT NULL,
        ctimeNs INTEGER NOT NULL, bornNs INTEGER NOT NULL, sealed INTEGER
      );
      PRAGMA user_version = ${SCHEMA_VERSION};`);
  }
}

const INDEXES = `
  CREATE INDEX IF NOT EXISTS content_by_key ON content (key);
  CREATE INDEX IF NOT EXISTS content_by_inode ON content (inode);`;

/** Ids of names, both ways. */
class Names {
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();

  id(name: string): number | undefined {
    return this.#ids.get(name);
  }

  name(id: number): string {
    const name = this.#names.get(id);
    if (name === undefined) throw new Error(`catalogue row points at unknown name ${id}`);
    return name;
  }

  all(): readonly string[] {
    return [...this.#ids.keys()];
  }

  note(id: number, name: string): number {
    this.#ids.set(name, id);
    this.#names.set(id, name);
    return id;
  }

  forget(name: string): void {
    const id = this.#ids.get(name);
    if (id !== undefined) this.#names.delete(id);
    this.#ids.delete(name);
  }
}

/** A Bloom filter of 1 MiB: "no" is sure, "yes" is a reason to look; one in fifty is wrong at a million hashes. */
class HashFilter {
  readonly #bits = new Uint8Array(FILTER_BITS / 8);

  has(sha256: Buffer): boolean {
    for (let offset = 0; offset < FILTER_HASHES * 4; offset += 4) {
      const bit = sha256.readUInt32LE(offset) % FILTER_BITS;
      if (((this.#bits[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }

  add(sha256: Buffer): void {
    for (let offset = 0; offset < FILTER_HASHES * 4; offset += 4) {
      const bit = sha256.readUInt32LE(offset) % FILTER_BITS;
      this.#bits[bit >> 3] = (this.#bits[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
}

const FILTER_BITS = 1 << 23;
const FILTER_HASHES = 4;

/** 48 bits of the hash: an exact number in JavaScript. */
function keyOf(sha256: Buffer): number {
  return sha256.readUIntLE(0, 6);
}

/** SQLite's integers are signed. */
function asSigned(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

interface Place {
  readonly folder: number;
  readonly path: Buffer;
  readonly sealed: number | null;
}

type NewRow = [number, Buffer, number, number, Buffer, number, bigint, bigint, bigint, bigint, number | null];
type AskedInode = [bigint, number, number, bigint, bigint, bigint, Buffer];
type Statements = ReturnType<typeof prepare>;
/** No file system is as old as 1970, and no change of an inode. */
const UNKNOWN = 0n;

/** Before rows go: what was read from their inodes earlier must not be taken for the last that was. */
function doubtReadBefore(going: string): string {
  return `UPDATE content SET bornNs = ${UNKNOWN} WHERE id IN (
    SELECT earlier.id FROM content AS later JOIN content AS earlier
      ON earlier.inode = later.inode AND earlier.filesystem = later.filesystem AND earlier.id < later.id
      WHERE ${going} AND later.inode <> ${NO_INODE}
        AND earlier.sha256 <> later.sha256 AND earlier.bornNs <> ${UNKNOWN})`;
}

function prepare(database: Database.Database) {
  return {
    about: database.prepare<[string], { value: string }>('SELECT value FROM about WHERE key = ?'),
    setAbout: database.prepare<[string, string]>('INSERT OR REPLACE INTO about VALUES (?, ?)'),
    allFolders: database.prepare<[], { id: number; name: string }>('SELECT id, name FROM folder'),
    addFolder: database.prepare<[string]>('INSERT INTO folder (name) VALUES (?)'),
    renameFolder: database.prepare<[string, number]>('UPDATE folder SET name = ? WHERE id = ?'),
    forgetFolder: database.prepare<[number]>('DELETE FROM folder WHERE id = ?'),
    forgetRows: database.prepare<[number]>('DELETE FROM content WHERE folder = ?'),
    allFilesystems: database.prepare<[], { id: number; name: string }>('SELECT id, name FROM filesystem'),
    addFilesystem: database.prepare<[string]>('INSERT INTO filesystem (name) VALUES (?)'),
    any: database.prepare<[], { id: number }>('SELECT id FROM content LIMIT 1'),
    someSizes: database.prepare<[number, number], { size: number }>(
      'SELECT DISTINCT size FROM content WHERE size > ? LIMIT ?',
    ),
    byContent: database.prepare<[number, Buffer], Place & { size: number }>(
      'SELECT folder, path, sealed, size FROM content WHERE key = ? AND sha256 = ? ORDER BY id DESC LIMIT 1',
    ),
    // the newest row alone: what was read from the inode before it is gone, though times say that it is as it was then
    byInode: database.prepare<AskedInode, Place & { sha256: Buffer }>(
      `SELECT folder, path, sealed, sha256
        FROM (SELECT * FROM content WHERE inode = ? AND filesystem = ? ORDER BY id DESC LIMIT 1)
        WHERE size = ? AND mtimeNs = ?
          AND (ctimeNs = ? AND ctimeNs <> ${UNKNOWN} OR bornNs = ? AND bornNs <> ${UNKNOWN} AND path <> ?)`,
    ),
    lastReadFrom: database.prepare<[bigint, number], { sha256: Buffer }>(
      'SELECT sha256 FROM content WHERE inode = ? AND filesystem = ? ORDER BY id DESC LIMIT 1',
    ),
    doubtBirths: database.prepare<[]>(`UPDATE content SET bornNs = ${UNKNOWN} WHERE bornNs <> ${UNKNOWN}`),
    doubtReadBeforeFolder: database.prepare<[number]>(doubtReadBefore('later.folder = ?')),
    doubtReadBeforeContent: database.prepare<[number, Buffer]>(
      doubtReadBefore('later.key = ? AND later.sha256 = ?'),
    ),
    add: database.prepare<NewRow>(
      `INSERT INTO content (key, sha256, size, folder, path, filesystem, inode, mtimeNs, ctimeNs, bornNs, sealed)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    forget: database.prepare<[number, Buffer]>('DELETE FROM content WHERE key = ? AND sha256 = ?'),
  };
}
