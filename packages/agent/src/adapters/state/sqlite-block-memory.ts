import type Database from 'better-sqlite3';
import { createHash, randomBytes } from 'node:crypto';
import { PRINT_BYTES, PRINT_KEY_BYTES } from '../../blocks/block-printer.ts';
import type { BlockPrints } from '../../blocks/block-diff.ts';
import type { BlockMemory } from '../../ports/state-folder.ts';
import { openForOne } from './open-for-one.ts';

/** Raised when the tables change: an older file is emptied. */
const SCHEMA_VERSION = 2;
/** Fingerprints of 4 TiB in blocks of 64 KiB. */
const MOST_BYTES = 1024 ** 3;
const CHECK_BYTES = 16;

/**
 * Fingerprints in SQLite: one row a content, its fingerprints one value. Every row has a checksum: fingerprints that the disk
 * altered would let a changed block pass for one that did not.
 */
export class SqliteBlockMemory implements BlockMemory {
  readonly key: Buffer;
  readonly #database: Database.Database;
  readonly #statements: Statements;
  readonly #mostBytes: number;

  /** @param file - made if missing; emptied if it belongs to another account */
  constructor(file: string, accountId: string, { mostBytes = MOST_BYTES }: { mostBytes?: number } = {}) {
    this.#mostBytes = mostBytes;
    this.#database = openForOne(file);
    if (this.#database.pragma('user_version', { simple: true }) !== SCHEMA_VERSION) this.#reset();
    const about = this.#database.prepare<[], { account: string; key: Buffer }>(
      'SELECT account, key FROM about',
    );
    let found = about.get();
    if (found?.account !== accountId || found.key.length !== PRINT_KEY_BYTES) {
      this.#database.exec('DELETE FROM blocks; DELETE FROM about;');
      this.#database
        .prepare('INSERT INTO about (account, key) VALUES (?, ?)')
        .run(accountId, randomBytes(PRINT_KEY_BYTES));
      found = about.get();
    }
    if (!found) throw new Error('what was just written is not there');
    this.key = found.key;
    this.#statements = prepare(this.#database);
    // of a run that was not published
    this.#statements.restore.run();
  }

  byContent(sizeBytes: number, sha256: Buffer): BlockPrints | undefined {
    const row = this.#statements.byContent.get(sha256);
    if (row?.size !== sizeBytes) return undefined;
    const { blockBytes, prints } = row;
    const sealed = row.sealed ?? undefined;
    const isWhole = prints.length === Math.ceil(sizeBytes / blockBytes) * PRINT_BYTES;
    if (!isWhole || !row.checksum.equals(checksum(sha256, { sizeBytes, blockBytes, prints, sealed }))) {
      this.forget(sha256);
      return undefined;
    }
    return { sizeBytes, blockBytes, prints, sealed };
  }

  byInode(filesystem: Buffer, inode: bigint): { sizeBytes: number; sha256: Buffer } | undefined {
    const row = this.#statements.byInode.get(BigInt.asIntN(64, inode), filesystem);
    return row && { sizeBytes: row.size, sha256: row.sha256 };
  }

  add({ sha256, blocks, filesystem, inode, instead }: Parameters<BlockMemory['add']>[0]): void {
    const { sizeBytes, blockBytes, prints, sealed } = blocks;
    this.#statements.forget.run(sha256);
    this.#statements.add.run(
      sha256,
      sizeBytes,
      blockBytes,
      prints,
      checksum(sha256, blocks),
      filesystem,
      BigInt.asIntN(64, inode),
      prints.length + (sealed?.length ?? 0),
      sealed ?? null,
    );
    if (instead && !instead.equals(sha256)) this.#statements.replace.run(instead);
  }

  forget(sha256: Buffer): void {
    this.#statements.forget.run(sha256);
  }

  published(): void {
    this.#statements.forgetReplaced.run();
    let { bytes } = this.#statements.total.get() ?? { bytes: 0 };
    if (bytes <= this.#mostBytes) return;
    for (const { id, length } of this.#statements.oldest.all()) {
      if (bytes <= this.#mostBytes) return;
      this.#statements.forgetRow.run(id);
      bytes -= length;
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.open) this.#database.close();
  }

  #reset(): void {
    this.#database.exec(`
      DROP TABLE IF EXISTS about; DROP TABLE IF EXISTS blocks;
      CREATE TABLE about (account TEXT NOT NULL, key BLOB NOT NULL);
      CREATE TABLE blocks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
        filesystem BLOB NOT NULL, inode INTEGER NOT NULL, isReplaced INTEGER NOT NULL DEFAULT 0,
        blockBytes INTEGER NOT NULL, checksum BLOB NOT NULL, length INTEGER NOT NULL, prints BLOB NOT NULL,
        sealed BLOB
      );
      CREATE INDEX blocks_by_inode ON blocks (inode);
      PRAGMA user_version = ${SCHEMA_VERSION};`);
  }
}

function checksum(sha256: Buffer, { sizeBytes, blockBytes, prints, sealed }: BlockPrints): Buffer {
  const about = Buffer.alloc(16);
  about.writeBigUInt64BE(BigInt(sizeBytes));
  about.writeBigUInt64BE(BigInt(blockBytes), 8);
  const digest = createHash('sha256')
    .update(sha256)
    .update(about)
    .update(prints)
    .update(sealed ?? '')
    .digest();
  return digest.subarray(0, CHECK_BYTES);
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: Database.Database) {
  return {
    restore: database.prepare('UPDATE blocks SET isReplaced = 0 WHERE isReplaced = 1'),
    byContent: database.prepare<
      [Buffer],
      { size: number; blockBytes: number; checksum: Buffer; prints: Buffer; sealed: Buffer | null }
    >('SELECT size, blockBytes, checksum, prints, sealed FROM blocks WHERE sha256 = ?'),
    byInode: database.prepare<[bigint, Buffer], { size: number; sha256: Buffer }>(
      'SELECT size, sha256 FROM blocks WHERE inode = ? AND filesystem = ? ORDER BY id DESC LIMIT 1',
    ),
    add: database.prepare<[Buffer, number, number, Buffer, Buffer, Buffer, bigint, number, Buffer | null]>(
      `INSERT INTO blocks (sha256, size, blockBytes, prints, checksum, filesystem, inode, length, sealed)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    replace: database.prepare<[Buffer]>('UPDATE blocks SET isReplaced = 1 WHERE sha256 = ?'),
    forget: database.prepare<[Buffer]>('DELETE FROM blocks WHERE sha256 = ?'),
    forgetRow: database.prepare<[number]>('DELETE FROM blocks WHERE id = ?'),
    forgetReplaced: database.prepare('DELETE FROM blocks WHERE isReplaced = 1'),
    total: database.prepare<[], { bytes: number }>('SELECT coalesce(sum(length), 0) AS bytes FROM blocks'),
    oldest: database.prepare<[], { id: number; length: number }>(
      'SELECT id, length FROM blocks ORDER BY id LIMIT 10000',
    ),
  };
}
