import { MANIFEST_PIECE, PRIVATE_FOLDER, manifestName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import { openAt, renameOverAt, unlinkAt } from '@bakker/linux';
import { closeSync, constants, fchmodSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import { inBlocks } from '../tree/inode-use.ts';
import { ManifestComposer } from '../tree/manifest-composer.ts';
import type { ComposedManifest } from '../tree/manifest-composer.ts';
import { temporaryName } from './steps.ts';
import type { AccountFolders } from './steps.ts';

export interface NewManifestOptions {
  readonly folders: AccountFolders;
  readonly run: RunName;
  /** Whose lines differences refer to. */
  readonly parent: RunName | undefined;
  /** Told what is about to be stored, or, below zero, was removed; may throw to refuse. */
  readonly storing: (bytes: number, inodes: number) => void;
}

/** The manifest of a run that is not published: in a temporary file of `.bakker`, until it gets its name. */
export class NewManifest implements AsyncDisposable {
  readonly #options: NewManifestOptions;
  readonly #name = temporaryName();
  #composer: ManifestComposer | undefined;
  #finished: ComposedManifest | undefined;
  /** What was told of a file that does not have its name yet. */
  #charged = { bytes: 0, inodes: 0 };
  #sizeBytes = 0;

  constructor(options: NewManifestOptions) {
    this.#options = options;
  }

  /** @param kind - of MANIFEST_PIECE, with START_OVER added or not @throws as ManifestComposer */
  piece(kind: number, content: Buffer): Promise<void> {
    if (this.#finished !== undefined) {
      if ((kind & MANIFEST_PIECE.START_OVER) === 0) {
        return Promise.reject(
          new StorageError('OUT_OF_ORDER', 'the manifest is whole: it can only start over'),
        );
      }
      this.#forget();
    }
    this.#composer ??= this.#compose();
    return this.#composer.piece(kind, content);
  }

  /** @param sha256 - what the client says of a manifest that was sent as it is @throws StorageError MANIFEST_DAMAGED, OUT_OF_ORDER */
  async finish(sha256: string | null): Promise<ComposedManifest> {
    if (this.#finished !== undefined) {
      if (sha256 === null || sha256 === this.#finished.sha256) return this.#finished;
      throw new StorageError('MANIFEST_DAMAGED', 'the manifest has another SHA-256 than was said');
    }
    if (this.#composer === undefined) throw new StorageError('OUT_OF_ORDER', 'no manifest was sent');
    const finished = await this.#composer.finish(sha256);
    const fd = openAt(this.#place(), { flags: constants.O_RDONLY });
    try {
      fchmodSync(fd, 0o400);
    } finally {
      closeSync(fd);
    }
    this.#finished = finished;
    return finished;
  }

  /** What is under way ends early, and nothing more is taken. */
  stop(): void {
    this.#composer?.stop();
  }

  /** Gives it its name. After `finish`, and once its bytes are on the disk. @throws LibcError */
  publish(): void {
    const { folders, run } = this.#options;
    renameOverAt(this.#place(), { folder: folders.account, name: Buffer.from(manifestName(run)) });
    this.#charged = { bytes: 0, inodes: 0 };
  }

  /** Removes it, unless it has its name. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#composer?.[Symbol.asyncDispose]();
    this.#forget();
    this.#release();
  }

  #compose(): ManifestComposer {
    const { folders, run, parent } = this.#options;
    this.#charge(0, 1);
    return new ManifestComposer({
      account: folders.account,
      run,
      temporary: Buffer.from(`${PRIVATE_FOLDER}/${this.#name.toString()}`),
      storing: (bytes) => this.#store(bytes),
      parentManifest: parent === undefined ? undefined : Buffer.from(manifestName(parent)),
    });
  }

  #place(): { folder: AccountFolders['hidden']; name: Buffer } {
    return { folder: this.#options.folders.hidden, name: this.#name };
  }

  #forget(): void {
    this.#composer = undefined;
    if (this.#finished === undefined) return;
    this.#finished = undefined;
    unlinkAt(this.#place());
    this.#release();
  }

  /** By whole blocks, as its removal gives them back in the end. */
  #store(bytes: number): void {
    const sizeBytes = this.#sizeBytes + bytes;
    this.#charge(inBlocks(sizeBytes) - this.#charged.bytes);
    this.#sizeBytes = sizeBytes;
  }

  #charge(bytes: number, inodes = 0): void {
    this.#options.storing(bytes, inodes);
    this.#charged.bytes += bytes;
    this.#charged.inodes += inodes;
  }

  #release(): void {
    const { bytes, inodes } = this.#charged;
    this.#charge(-bytes, -inodes);
    this.#sizeBytes = 0;
  }
}
