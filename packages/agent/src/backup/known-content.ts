import type { Entry, SourceFilesystem } from '@bakker/impl-format';
import type { Catalogue, KnownContent } from '../ports/state-folder.ts';
import type { StoredPlace } from '../ports/storage-account.ts';
import { inodeKeyOf, NO_INODE } from './lasting-inode.ts';
import type { Arrived, HashedEntry } from './read-entry.ts';
import { storedPath } from './stored-place.ts';

/** Hard-link groups and full inodes that are remembered at once; what is forgotten is found again by its content. */
const MAX_REMEMBERED = 65_536;

/** Content with where it lies. */
export interface Located {
  readonly place: StoredPlace;
  readonly sha256: Buffer;
  readonly sizeBytes: number;
  /** Bytes that it has there, if it lies sealed. */
  readonly sealedBytes: number | undefined;
}

/**
 * Knows what content need not be sent: the catalogue on disk, uploads in flight, hard-link groups of this run, and
 * copies that were made because an inode had no room for another link. Bounded memory.
 */
export class KnownContents {
  readonly #catalogue: Catalogue;
  readonly #filesystems: readonly SourceFilesystem[];
  readonly #inFlight = new Map<string, Promise<Located>>();
  readonly #largeInFlight = new Map<number, Promise<unknown>>();
  readonly #sameInFlight = new Map<string, Promise<undefined>>();
  readonly #groups = new Map<string, Promise<Located>>();
  readonly #copies = new Map<string, Promise<Located>>();

  /** @param filesystems - by the entries' `filesystem`; their mount points are their identities */
  constructor(catalogue: Catalogue, filesystems: readonly SourceFilesystem[]) {
    this.#catalogue = catalogue;
    this.#filesystems = filesystems;
  }

  /** The same file under another name: it was moved. */
  byInode(entry: Entry): Located | undefined {
    const path = storedPath(entry);
    const key = this.#keyOf(entry);
    if (path === undefined || key.inode === NO_INODE) return undefined;
    // one with several names may have had this one all along, and where names are hidden, a folder that was left out for a while has
    // others than it had: no rename explains another ctime
    const mayBeRenamed = entry.linkCount === 1 && path.equals(entry.path);
    const asked = mayBeRenamed ? key : { ...key, bornNs: undefined };
    const known = this.#catalogue.byInode(asked, path);
    return known && located(known, entry.sizeBytes);
  }

  mayHaveSize(sizeBytes: number): boolean {
    return this.#catalogue.hasSize(sizeBytes);
  }

  /** Large files of this size that are being sent: only when they have arrived is their hash known. */
  largeInFlight(sizeBytes: number): Promise<unknown> | undefined {
    return this.#largeInFlight.get(sizeBytes);
  }

  sendingLarge({ sizeBytes }: Entry, upload: Promise<unknown>): void {
    const all = Promise.allSettled([this.#largeInFlight.get(sizeBytes), upload]);
    this.#largeInFlight.set(sizeBytes, all);
    void all.then(() => {
      if (this.#largeInFlight.get(sizeBytes) === all) this.#largeInFlight.delete(sizeBytes);
    });
  }

  /** A large file that was hashed, and is being sent: what it turns out to be is known when it has arrived. Never rejects. */
  sameInFlight({ sizeBytes, sha256 }: HashedEntry): Promise<undefined> | undefined {
    return this.#sameInFlight.get(contentKey(sizeBytes, sha256));
  }

  /** @param ended - resolves when it has arrived, or will not; while nothing else of this content is told here */
  sendingSame({ sizeBytes, sha256 }: HashedEntry, ended: Promise<undefined>): void {
    const key = contentKey(sizeBytes, sha256);
    this.#sameInFlight.set(key, ended);
    void ended.then(() => this.#sameInFlight.delete(key));
  }

  byContent({
    sizeBytes,
    sha256,
  }: Pick<HashedEntry, 'sizeBytes' | 'sha256'>): Promise<Located> | Located | undefined {
    const inFlight = this.#inFlight.get(contentKey(sizeBytes, sha256));
    if (inFlight) return inFlight;
    const known = this.#catalogue.byContent(sizeBytes, sha256);
    return known && located(known, sizeBytes);
  }

  /** An upload began: the same content that comes meanwhile waits for it, and other names of the same inode. */
  sending(entry: HashedEntry, upload: Promise<Arrived>): void {
    const key = contentKey(entry.sizeBytes, entry.sha256);
    const located = upload.then(toLocated);
    this.#inFlight.set(key, located);
    this.startGroup(entry, located);
    located.then(
      () => this.#inFlight.delete(key),
      () => this.#inFlight.delete(key),
    );
  }

  add({ entry, place }: Arrived): void {
    const key = this.#keyOf(entry);
    const { sha256, sealedBytes } = entry;
    this.#catalogue.add({ ...key, sha256, sealedBytes, ...place });
  }

  /** What was read is in the account already: it is what the inode holds now, whatever was read from it before. */
  found(entry: HashedEntry, { place, sealedBytes }: Located): void {
    const key = this.#keyOf(entry);
    const { sha256 } = entry;
    const last = key.inode === NO_INODE ? undefined : this.#catalogue.lastReadFrom(key);
    if (last && !last.equals(sha256)) this.#catalogue.add({ ...key, sha256, sealedBytes, ...place });
  }

  forget({ sizeBytes, sha256 }: Located): void {
    this.#catalogue.forget(sizeBytes, sha256);
  }

  /** Another name of the same inode that is already on its way. */
  group(entry: Entry): Promise<Located> | undefined {
    return entry.linkCount > 1 ? this.#groups.get(groupKey(entry)) : undefined;
  }

  startGroup(entry: Entry, first: Promise<Located>): void {
    first.catch(() => undefined); // whoever awaits it sees the failure
    if (entry.linkCount > 1) remember(this.#groups, groupKey(entry), first);
  }

  /** The copy that stands in for content whose inode is full. */
  copyOf({ sizeBytes, sha256 }: Located): Promise<Located> | undefined {
    return this.#copies.get(contentKey(sizeBytes, sha256));
  }

  startCopy({ sizeBytes, sha256 }: Located, copy: Promise<Arrived>): void {
    remember(this.#copies, contentKey(sizeBytes, sha256), copy.then(toLocated));
  }

  #keyOf(entry: Entry) {
    const filesystem = this.#filesystems[entry.filesystem];
    if (!filesystem) throw new Error(`entry of unknown file system ${entry.filesystem}`);
    return inodeKeyOf(entry, filesystem);
  }
}

export function toLocated({ entry, place }: Arrived): Located {
  return { place, sha256: entry.sha256, sizeBytes: entry.sizeBytes, sealedBytes: entry.sealedBytes };
}

function located(known: KnownContent, sizeBytes: number): Located {
  return { place: known, sha256: known.sha256, sizeBytes, sealedBytes: known.sealedBytes };
}

function remember<T>(map: Map<string, Promise<T>>, key: string, value: Promise<T>): void {
  value.catch(() => undefined); // whoever awaits it sees the failure
  map.set(key, value);
  if (map.size <= MAX_REMEMBERED) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** With all that tells another file, which may have got the number of one that was deleted during the run, or one that was written since. */
function groupKey({ filesystem, inode, sizeBytes, mtimeNs, ctimeNs, bornNs = 0n }: Entry): string {
  return `${filesystem}:${inode}:${sizeBytes}:${mtimeNs}:${ctimeNs}:${bornNs}`;
}

function contentKey(sizeBytes: number, sha256: Buffer): string {
  return `${sizeBytes}:${sha256.toString('latin1')}`;
}
