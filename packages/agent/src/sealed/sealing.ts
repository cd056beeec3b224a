import type { Entry } from '@bakker/impl-format';
import type { FileSink } from '../ports/storage-account.ts';

/** Seals all that one run stores. */
export interface Sealing {
  /** Ids of the keys that it seals to, ascending. */
  readonly recipients: readonly string[];
  /** Up to this size a content and what sealing adds fit one request. */
  readonly wholeBytes: number;
  /** A content that is in memory, as one new buffer. */
  whole(content: Buffer): Buffer;
  /**
   * A content that comes in pieces, into `sink`.
   *
   * @param content - `sizeBytes`: exactly what it will have; `isHashed`: tell the SHA-256 of what was stored
   */
  file(sink: FileSink, content: { sizeBytes: number; isHashed: boolean }): SealedFile;
  /** A manifest. */
  manifest(clear: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer>;
}

/** A large file being sealed. */
export interface SealedFile extends Disposable {
  /** In ascending order; what lies between pieces is zeros. The bytes are its own from here on. */
  write(offsetBytes: number, bytes: Buffer): Promise<void>;
  /** Writes what is left. */
  end(): Promise<StoredFile>;
}

/** What lies on the storage. */
export interface StoredFile {
  readonly sizeBytes: number;
  readonly sha256: Buffer | undefined;
}

/** Decides where the entries of a sealed run lie in its folder. Asked once for each, in the order of the manifest. */
export interface Naming {
  /** In the manifest's header, where names are hidden. */
  readonly nameKey: Buffer | undefined;
  /** To be waited for before `place` is asked for this entry. */
  prepare(now: Entry, before: Entry | undefined): Promise<void> | undefined;
  /**
   * @param now - as it was scanned
   * @param before - the parent's at the same path
   */
  place(now: Entry, before: Entry | undefined): PlacedEntry;
}

export interface PlacedEntry {
  /** With `stored`, and a directory with its id. */
  readonly entry: Entry;
  /** Whether the parent's at the same path lies, or would lie, at the same place. */
  readonly isAsBefore: boolean;
}
