import type { Entry } from '@bakker/impl-format';
import type { PatchTarget } from '../blocks/patch-writer.ts';
import type { SealedContent } from '../ports/sealing-threads.ts';
import type { FileSink, PatchSink } from '../ports/storage-account.ts';

/** Seals all that one run stores. */
export interface Sealing extends AsyncDisposable {
  /** Ids of the keys that it seals to, ascending. */
  readonly recipients: readonly string[];
  /** Up to this size a content and what sealing adds fit one request. */
  readonly wholeBytes: number;
  /** A content that is in memory; nobody may use its memory again before the promise resolves. */
  whole(content: Buffer): Promise<SealedContent>;
  /** Takes back what `whole` made. */
  recycle(bytes: Buffer): void;
  /**
   * A content that comes in pieces, into `sink`.
   *
   * @param content - `sizeBytes`: exactly what it will have; `isHashed`: tell the SHA-256 of what was stored
   */
  file(sink: FileSink, content: { sizeBytes: number; isHashed: boolean }): SealedFile;
  /**
   * Starts to change a large file that an earlier run sealed to the same keys. Undefined if it has to be sealed anew: its
   * header is full, or it is not known.
   *
   * @param header - as it was remembered: `StoredFile.header`
   */
  patch(header: Buffer | undefined): SealedPatch | undefined;
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

/** A large file being changed. Stretches are of the clear content: whole blocks. */
export interface SealedPatch extends PatchTarget {
  /** Blocks are one of these long, or several. */
  readonly chunkBytes: number;
  /** Bytes that a content of this size takes at the most. */
  mostStoredBytes(sizeBytes: number): number;
  /** A pass over the content begins: it has this size now. */
  begin(sizeBytes: number): void;
  /** Where it goes, once that is there. */
  into(sink: PatchSink): void;
  /** Whether a block that stays has to be sealed again, because an end lies in it, or lay. @param beforeBytes - size before */
  mustSeal(offsetBytes: number, lengthBytes: number, beforeBytes: number): boolean;
  /** Writes the header, if no chunk was written. */
  end(): Promise<StoredFile>;
}

/** What lies on the storage. */
export interface StoredFile {
  readonly sizeBytes: number;
  readonly sha256: Buffer | undefined;
  /** Of a file that can be changed later, its beginning: to be remembered here, as the storage's copy proves nothing. */
  readonly header?: Buffer | undefined;
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
