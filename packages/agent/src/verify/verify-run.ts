import { baseName, isAtOrBelow, parentPath, type Entry, type RunName } from '@bakker/impl-format';
import { LONG_PATHS_FOLDER_PATH, storedPath } from '../backup/stored-place.ts';
import { openManifest } from '../browse/open-manifest.ts';
import { AgentError } from '../errors.ts';
import type { OpenOverflow } from '../ports/overflow.ts';
import type { Progress } from '../ports/progress.ts';
import type { StorageAccount, StoredItem } from '../ports/storage-account.ts';
import { ProblemList } from '../restore/restore-report.ts';
import { ContentChecker } from './check-content.ts';
import { LinkIdentity } from './link-identity.ts';
import { listAhead, listFolder, type Listing, type ListedEntry } from './list-ahead.ts';
import { describeExchange, type ParentChain, type ParentLink } from './parent-chain.ts';
import type { ReadInodes } from './read-inodes.ts';
import { isSampled, type Sample } from './sample.ts';

export interface VerifyOptions {
  readonly run: RunName;
  /** Which contents are read; undefined for none. */
  readonly sample: Sample | undefined;
  /** What was read before: of use where several runs are verified, which share what did not change. */
  readonly readInodes: ReadInodes;
  /** Of all runs that are verified. */
  readonly chain: ParentChain;
}

export interface VerifyPorts {
  readonly account: StorageAccount;
  readonly progress: Progress;
  readonly overflow: OpenOverflow;
  readonly signal: AbortSignal;
}

export interface RunVerdict {
  readonly run: RunName;
  /** Entries compared with the storage. */
  readonly checked: number;
  /** Files whose content was read, by this name or by another one of the same stored file. */
  readonly read: number;
  readonly damaged: ProblemList;
  /** Why the manifest itself can't be trusted; what it says further on was not checked then. */
  readonly manifestProblem: string | undefined;
  /** Undefined for a run without a parent, or whose manifest can't be trusted. */
  readonly parent: ParentLink | undefined;
}

/**
 * Compares a run on the storage with its manifest: every entry is there, with its type and size, hard links are hard
 * links, and nothing else lies there; with a sample, contents too. One pass, listings and contents in flight; holds the
 * names of one folder for each level and of those just ahead.
 *
 * @throws what the storage throws about more than one path; AgentError INTERRUPTED
 */
export async function verifyRun(options: VerifyOptions, ports: VerifyPorts): Promise<RunVerdict> {
  const check = new RunCheck(options, ports);
  let manifestProblem: string | undefined;
  let parent: ParentLink | undefined;
  try {
    await using manifest = await openManifest(ports.account, options.run);
    await check.start();
    for await (const batch of listAhead(manifest.batches(), { account: ports.account, run: options.run }))
      for (const listed of batch) await check.add(listed);
    await check.end();
    parent = options.chain.add(manifest.header, manifest.trailer.digest);
    if (parent?.state === 'exchanged') manifestProblem = describeExchange(parent);
  } catch (error) {
    await check.abandon();
    if (!(error instanceof AgentError) || error.code !== 'MANIFEST_DAMAGED') throw error;
    manifestProblem = error.message;
  }
  return {
    run: options.run,
    checked: check.checked,
    read: check.read,
    damaged: check.damaged,
    manifestProblem,
    parent,
  };
}

interface Frame {
  readonly path: Buffer;
  readonly listing: Listing | undefined;
}

interface Compared {
  /** Undefined if all is well; `SAID` if the folder above has told it already. */
  readonly problem: string | undefined;
  /** Where the storage tells it. */
  readonly inode?: bigint | undefined;
}

/** The walk through one run. */
class RunCheck {
  checked = 0;
  read = 0;
  readonly damaged = new ProblemList();
  readonly #options: VerifyOptions;
  readonly #ports: VerifyPorts;
  readonly #contents: ContentChecker;
  readonly #links: LinkIdentity;
  readonly #stack: Frame[] = [];
  /** Folders that entries lie in whose own path is too long, by path. */
  readonly #elsewhere = new Map<string, Listing>();
  /** Names that no entry has; some may hold what is stored elsewhere. */
  readonly #unknown: Buffer[] = [];

  constructor(options: VerifyOptions, ports: VerifyPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#links = new LinkIdentity(ports.overflow);
    const { account, progress } = ports;
    const onDamage = (path: Buffer, reason: string) => {
      this.damaged.add(path, reason);
    };
    const { run, readInodes } = options;
    this.#contents = new ContentChecker({ account, run, progress, readInodes, onDamage });
  }

  async start(): Promise<void> {
    this.#push({ path: EMPTY, listing: await listFolder(this.#ports.account, this.#options.run, EMPTY) });
  }

  async add({ entry, listing }: ListedEntry): Promise<void> {
    if (this.#ports.signal.aborted) throw new AgentError('INTERRUPTED', 'the verification was interrupted');
    const frame = await this.#descendTo(parentPath(entry.path));
    const name = baseName(storedPath(entry) ?? entry.path).toString('latin1');
    this.checked++;
    const room = this.#links.room();
    if (room !== undefined) await room;
    const { problem, inode } = await this.#compare(entry, { frame, name });
    if (problem === undefined) await this.#readContent(entry, inode);
    else if (problem !== SAID) this.damaged.add(entry.path, problem);
    if (entry.type === 'directory') {
      const names = await listing;
      if (problem === undefined) this.#push({ path: entry.path, listing: names });
      else this.#stack.push({ path: entry.path, listing: names });
    }
    if (entry.type !== 'directory') this.#ports.progress.advance({ files: 1 });
  }

  async end(): Promise<void> {
    while (this.#stack.length > 0) this.#pop();
    for (const { path, reason } of this.#links.rest()) this.damaged.add(path, reason);
    await this.#lookIntoLongPaths();
    this.#tellUnknown();
    await this.#contents.finish();
  }

  /** Waits for what is in flight; the failure that is on its way says more than another one. */
  async abandon(): Promise<void> {
    await this.#contents.finish().catch(() => undefined);
  }

  async #compare(entry: Entry, { frame, name }: { frame: Frame; name: string }): Promise<Compared> {
    if (entry.stored.kind === 'manifest') return { problem: undefined };
    const item =
      entry.stored.kind === 'own' ? take(frame.listing, name) : await this.#takeElsewhere(entry.stored.at);
    if (typeof frame.listing === 'string' && entry.stored.kind === 'own') return { problem: SAID };
    return { problem: this.#problemOf(entry, item), inode: item?.inode };
  }

  #problemOf(entry: Entry, item: StoredItem | undefined): string | undefined {
    if (item === undefined) return 'it is missing from the storage';
    if (item.type !== entry.type) return `it is a ${item.type} on the storage instead of a ${entry.type}`;
    if (entry.type !== 'file') return undefined;
    const storedBytes = entry.sealedBytes ?? entry.sizeBytes;
    if (item.sizeBytes !== storedBytes)
      return `it has ${item.sizeBytes} bytes on the storage instead of ${storedBytes}`;
    return this.#links.add(entry, item);
  }

  async #readContent(entry: Entry, inode: bigint | undefined): Promise<void> {
    const { sample } = this.#options;
    if (sample === undefined || entry.type !== 'file' || entry.stored.kind === 'manifest') return;
    if (sample.share < 1 && !isSampled(entry.path, sample)) return;
    this.read++;
    await this.#contents.check(entry, inode);
  }

  async #takeElsewhere(at: Buffer): Promise<StoredItem | undefined> {
    const folder = parentPath(at);
    const key = folder.toString('latin1');
    let listing = this.#elsewhere.get(key);
    if (listing === undefined) {
      listing = await listFolder(this.#ports.account, this.#options.run, folder);
      this.#elsewhere.set(key, listing);
    }
    return take(listing, baseName(at).toString('latin1'));
  }

  async #descendTo(parent: Buffer): Promise<Frame> {
    while (!isAtOrBelow(parent, this.#top.path)) this.#pop();
    while (this.#top.path.length < parent.length) {
      // Folders that the manifest does not list: it need not.
      const start = this.#top.path.length === 0 ? 0 : this.#top.path.length + 1;
      const slash = parent.indexOf(SLASH, start);
      const path = parent.subarray(0, slash < 0 ? parent.length : slash);
      take(this.#top.listing, baseName(path).toString('latin1'));
      this.#push({ path, listing: await listFolder(this.#ports.account, this.#options.run, path) });
    }
    return this.#top;
  }

  #push(frame: Frame): void {
    this.#stack.push(frame);
    if (typeof frame.listing === 'string') this.damaged.add(frame.path, frame.listing);
  }

  #pop(): void {
    const frame = this.#stack.pop();
    if (frame?.listing === undefined || typeof frame.listing === 'string') return;
    for (const { name } of frame.listing.values()) this.#unknown.push(joined(frame.path, name));
  }

  /** A run has the folder for long paths even if what it was made for could not be read. */
  async #lookIntoLongPaths(): Promise<void> {
    const key = LONG_PATHS_FOLDER_PATH.toString('latin1');
    if (this.#elsewhere.has(key) || !this.#unknown.some((path) => path.equals(LONG_PATHS_FOLDER_PATH)))
      return;
    const { account } = this.#ports;
    const listing = await listFolder(account, this.#options.run, LONG_PATHS_FOLDER_PATH);
    if (typeof listing !== 'string') this.#elsewhere.set(key, listing);
  }

  #tellUnknown(): void {
    const folders = [...this.#elsewhere.keys()].map((key) => Buffer.from(key, 'latin1'));
    for (const path of this.#unknown)
      if (!folders.some((folder) => isAtOrBelow(folder, path))) this.damaged.add(path, UNKNOWN);
    for (const [key, listing] of this.#elsewhere) {
      if (typeof listing === 'string') continue;
      for (const { name } of listing.values())
        this.damaged.add(joined(Buffer.from(key, 'latin1'), name), UNKNOWN);
    }
  }

  get #top(): Frame {
    const top = this.#stack.at(-1);
    if (top === undefined) throw new Error('the walk has not started');
    return top;
  }
}

const EMPTY = Buffer.alloc(0);
const SLASH = 0x2f;
const SAID = '';
const UNKNOWN = 'it lies on the storage, but the manifest does not have it';

/** Removes a name from a listing, so that what is left at the end is unknown. */
function take(listing: Listing | undefined, name: string): StoredItem | undefined {
  if (listing === undefined || typeof listing === 'string') return undefined;
  const item = listing.get(name);
  listing.delete(name);
  return item;
}

function joined(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, Buffer.from('/'), name]);
}
