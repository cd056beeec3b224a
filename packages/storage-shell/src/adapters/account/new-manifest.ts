import { MANIFEST_PIECE } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { openAt, unlinkAt } from '@bakker/linux';
import type { FolderHandle, Place } from '@bakker/linux';
import { createHash } from 'node:crypto';
import { closeSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { AccountFolders } from './steps.ts';
import { NEW_FILE, temporaryName, writeAll } from './steps.ts';

/** A finished manifest: its descriptor is good until it is disposed of. */
export interface WrittenManifest {
  readonly fd: number;
  /** Of the file's bytes, hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** The manifest of a new run, in a temporary file of `.bakker` until the run is published. */
export interface NewManifest extends AsyncDisposable {
  readonly kind: number;
  readonly place: Place;
  /** @throws errno errors: `ENOSPC`; FormatProblem */
  add(content: Buffer): void | Promise<void>;
  /** @throws StorageError MANIFEST_DAMAGED */
  finish(sha256: string | null): Promise<WrittenManifest>;
}

export interface ManifestOptions {
  readonly folders: AccountFolders;
  /** Whose lines a delta refers to. */
  readonly parent: RunName | undefined;
}

/** @param kind - of MANIFEST_PIECE, without START_OVER */
export async function openManifest(kind: number, { folders }: ManifestOptions): Promise<NewManifest> {
  if (kind === MANIFEST_PIECE.FILE) return new WholeManifest(folders.hidden);
  throw new StorageError('UNSUPPORTED', 'differences from the parent are not taken yet');
}

/** A manifest as it comes, byte for byte. */
class WholeManifest implements NewManifest {
  readonly kind = MANIFEST_PIECE.FILE;
  readonly place: Place;
  readonly #fd: number;
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;
  #isOpen = true;

  constructor(hidden: FolderHandle) {
    this.place = { folder: hidden, name: temporaryName() };
    this.#fd = openAt(this.place, { flags: NEW_FILE, mode: 0o600 });
  }

  add(content: Buffer): void {
    writeAll(this.#fd, content, this.#sizeBytes);
    this.#hash.update(content);
    this.#sizeBytes += content.length;
  }

  async finish(expected: string | null): Promise<WrittenManifest> {
    const sha256 = this.#hash.copy().digest('hex');
    if (sha256 === expected) return { fd: this.#fd, sha256, sizeBytes: this.#sizeBytes };
    throw new StorageError('MANIFEST_DAMAGED', 'the manifest that arrived is not the one that was sent');
  }

  /** Removes it, unless it has its own name already. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
    unlinkAt(this.place);
  }
}
