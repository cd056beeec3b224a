import type { Entry } from '@bakker/impl-format';
import type { RunWriter } from '../ports/storage-account.ts';
import type { KnownContents, Located } from './known-content.ts';
import { storedPath } from './stored-place.ts';
import type { HashedEntry } from './read-entry.ts';

/** Says where the account has content already: in the parent under the same path, or elsewhere. */
export class ContentLookup {
  readonly #writer: RunWriter;
  readonly #parent: string | undefined;
  readonly #openKnown: () => Promise<KnownContents>;
  #opening: Promise<KnownContents> | undefined;
  #known: KnownContents | undefined;

  /** @param options - `openKnown` is called when the first file needs it: a run in which nothing changed never does */
  constructor(options: {
    writer: RunWriter;
    parent: string | undefined;
    openKnown: () => Promise<KnownContents>;
  }) {
    this.#writer = options.writer;
    this.#parent = options.parent;
    this.#openKnown = options.openKnown;
  }

  /** What is known beside the parent; undefined until it was opened. */
  get known(): KnownContents | undefined {
    return this.#known;
  }

  async open(): Promise<KnownContents> {
    this.#opening ??= this.#openKnown();
    return (this.#known = await this.#opening);
  }

  /** The content of an entry of the parent. */
  inParent(before: Entry): Located | undefined {
    const path = storedPath(before);
    if (this.#parent === undefined || !path || before.type !== 'file' || !before.sha256) return undefined;
    const { sha256, sizeBytes, sealedBytes } = before;
    return { place: { folder: this.#parent, path }, sha256, sizeBytes, sealedBytes };
  }

  /** The parent's content under the same path, if it is what was read now. */
  sameInParent(entry: HashedEntry, before: Entry): Located | undefined {
    const inParent = this.inParent(before);
    const isSame = inParent?.sha256.equals(entry.sha256) && before.sizeBytes === entry.sizeBytes;
    return isSame ? inParent : undefined;
  }

  /** Content that was read, wherever the account has it, or is getting it. */
  find(
    known: KnownContents,
    entry: HashedEntry,
    before: Entry | undefined,
  ): Located | Promise<Located> | undefined {
    return (
      (before && this.sameInParent(entry, before)) ??
      (entry.sizeBytes === 0 ? undefined : known.byContent(entry))
    );
  }

  /** Whether the storage says that the parent's object is damaged. */
  isHurt(before: Entry): boolean {
    const path = storedPath(before);
    return path !== undefined && this.#writer.parent?.isHurt(path) === true;
  }

  /** Sent by this run, or by an attempt at it that was cut off. */
  isFromThisRun(found: Located): boolean {
    return this.isSentNow(found) || this.#writer.carriedFolders.includes(found.place.folder);
  }

  /** Sent by this very attempt, under another name. */
  isSentNow({ place }: Located): boolean {
    return place.folder === this.#writer.folder;
  }
}
