import type { Entry } from '@bakker/impl-format';
import { hash } from 'node:crypto';
import { LARGE_FILE_BYTES, contentBudgets } from '../backup/budget.ts';
import type { Budget } from '../backup/budget.ts';
import { ContentHash } from '../backup/content-hash.ts';
import { storedPath } from '../backup/stored-place.ts';
import { damageOf, dataExtents, DIFFERENT, SMALL_BYTES } from '../browse/stored-content.ts';
import { AgentError } from '../errors.ts';
import { entryBytes } from './entry-bytes.ts';
import { READ_FILES } from '../ports/storage-account.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { TargetFile } from '../ports/restore-target.ts';
import type { RestoreContext } from './restore-job.ts';
import { stages } from '../timings/stages.ts';

/** Content that is what the manifest says: in memory, or written to a file that has no name yet. */
export type Fetched =
  /** With `sha256`, the bytes are still to be compared with it. */
  { readonly bytes: Buffer; readonly sha256?: Buffer } | { readonly file: TargetFile };

/** What becomes of one file; exactly one of the last three is called. The bytes are the taker's until its promise resolves. */
export interface FetchHandlers {
  /** Whether content may be handed over before it was compared with its hash. */
  readonly comparesContent: boolean;
  /** Where a large file is written to. */
  open(): TargetFile;
  onContent(content: Fetched): Promise<void>;
  onDamage(reason: string): void;
  onLocalFailure(error: unknown): void;
}

/** A small file that waits to be asked for with others. */
interface Waiting {
  readonly entry: Entry;
  readonly path: Buffer;
  readonly handlers: FetchHandlers;
}

/**
 * Brings contents from the storage: 256 small files and four large ones at once, or as many as the memory holds with their
 * entries. Where the storage can, many small ones come in one message.
 */
export class FileFetcher {
  readonly #context: RestoreContext;
  readonly #small: Budget;
  readonly #large: Budget;
  readonly #readFiles: StorageAccount['readFiles'];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(context: RestoreContext) {
    this.#context = context;
    const { memoryBytes } = context.job;
    const { account } = context.ports;
    this.#readFiles = account.readFiles?.bind(account);
    ({ small: this.#small, large: this.#large } = contentBudgets({ memoryBytes, smallFiles: SMALL_FILES }));
  }

  room(): Promise<void> | undefined {
    if (this.#failure !== undefined || this.#context.ports.signal.aborted) return this.idle();
    const room = this.#small.room() ?? this.#large.room();
    // Half a message is asked for when others are under way: more will come when they are answered.
    const isWorth = this.#inFlight === 0 || this.#waitingBytes >= READ_FILES.bytes / 2;
    if (room !== undefined && isWorth) this.#askWaiting();
    return room;
  }

  /** Resolves when nothing is in flight. Rejects with what ended the restore. */
  async idle(): Promise<void> {
    this.#askWaiting();
    while (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#context.ports.signal.aborted) {
      throw new AgentError('INTERRUPTED', 'the restore was interrupted', {
        hint: 'run it again: what is right already is not fetched a second time',
      });
    }
  }

  fetch(entry: Entry, handlers: FetchHandlers): void {
    const path = storedPath(entry);
    const isEmpty = dataExtents(entry).length === 0;
    if (path === undefined && !isEmpty) handlers.onDamage('its content was never stored');
    else if (entry.sizeBytes > SMALL_BYTES)
      this.#run(this.#large, LARGE_FILE_BYTES + entryBytes(entry), () =>
        this.#fetchLarge(entry, path, handlers),
      );
    else if (path === undefined || isEmpty)
      this.#run(this.#small, heldBytes(entry), () =>
        this.#check(entry, Buffer.alloc(entry.sizeBytes), handlers),
      );
    else if (this.#readFiles !== undefined && entry.sizeBytes <= READ_FILES.bytes)
      this.#askTogether({ entry, path, handlers });
    else this.#run(this.#small, heldBytes(entry), () => this.#fetchSmall(entry, path, handlers));
  }

  #askTogether(file: Waiting): void {
    const { sizeBytes } = file.entry;
    this.#small.take(heldBytes(file.entry));
    if (this.#waitingBytes + sizeBytes > READ_FILES.bytes) this.#askWaiting();
    this.#waitingBytes += sizeBytes;
    if (this.#waiting.push(file) >= READ_FILES.count) this.#askWaiting();
  }

  #askWaiting(): void {
    const files = this.#waiting;
    const readFiles = this.#readFiles;
    if (files.length === 0 || readFiles === undefined) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const wanted = files.map(({ entry, path }) => ({ path, sizeBytes: entry.sizeBytes }));
    const release = () => {
      for (const { entry } of files) this.#small.give(heldBytes(entry));
    };
    const answers = readFiles(this.#context.job.run, wanted).finally(release);
    this.#track(answers.then((contents) => this.#takeAll(files, contents)));
  }

  #takeAll(files: readonly Waiting[], contents: readonly (Buffer | Error)[]): void {
    for (const [index, { entry, handlers }] of files.entries()) {
      const content = contents[index] ?? new Error('an answer is missing');
      if (Buffer.isBuffer(content)) this.#track(this.#check(entry, content, handlers));
      else handlers.onDamage(damageOf(content));
    }
  }

  #run(budget: Budget, bytes: number, work: () => Promise<void>): void {
    budget.take(bytes);
    this.#track(work().finally(() => budget.give(bytes)));
  }

  #track(work: Promise<void>): void {
    this.#inFlight++;
    const end = () => {
      this.#inFlight--;
      if (this.#inFlight > 0) return;
      this.#onIdle?.();
      this.#onIdle = undefined;
    };
    work.then(end, (error: unknown) => {
      this.#failure ??= { error };
      end();
    });
  }

  async #fetchSmall(entry: Entry, path: Buffer, handlers: FetchHandlers): Promise<void> {
    const { ports, job } = this.#context;
    let bytes: Buffer;
    try {
      bytes = await ports.account.readFile(job.run, path, entry.sizeBytes);
    } catch (error) {
      handlers.onDamage(damageOf(error));
      return;
    }
    this.#track(this.#check(entry, bytes, handlers)); // writing is bounded by who writes: the storage may be asked for more
  }

  async #check(entry: Entry, bytes: Buffer, handlers: FetchHandlers): Promise<void> {
    if (bytes.length !== entry.sizeBytes) {
      handlers.onDamage(`it has ${bytes.length} bytes on the storage instead of ${entry.sizeBytes}`);
      return;
    }
    const content = entry.extents === undefined ? bytes : withHoles(bytes, entry.extents);
    const { sha256 } = entry;
    if (sha256 !== undefined && handlers.comparesContent && entry.extents === undefined) {
      await handlers.onContent({ bytes, sha256 });
      return;
    }
    if (sha256 === undefined || stages.doing('hash', () => hash('sha256', content, 'buffer')).equals(sha256))
      await handlers.onContent({ bytes: content });
    else handlers.onDamage(DIFFERENT);
  }

  async #fetchLarge(entry: Entry, path: Buffer | undefined, handlers: FetchHandlers): Promise<void> {
    const { ports, job } = this.#context;
    let isLocal = true;
    let isDifferent = false;
    try {
      using file = handlers.open();
      const sum = new ContentHash();
      isLocal = false;
      const wanted = { extents: dataExtents(entry), sizeBytes: entry.sizeBytes };
      const pieces = path === undefined ? [] : ports.account.readExtents(job.run, path, wanted);
      for await (const { offsetBytes, bytes } of pieces) {
        sum.update(offsetBytes, bytes);
        isLocal = true;
        await file.write(offsetBytes, bytes);
        isLocal = false;
        ports.progress.advance({ bytes: bytes.length });
        if (ports.signal.aborted || this.#failure !== undefined) return;
      }
      const digest = sum.finish(entry.sizeBytes);
      if (entry.sha256 === undefined || digest.equals(entry.sha256)) await handlers.onContent({ file });
      else isDifferent = true;
    } catch (error) {
      if (isLocal) handlers.onLocalFailure(error);
      else handlers.onDamage(damageOf(error));
      return;
    }
    // only now, when the file is gone: its folder may be let go of here
    if (isDifferent) handlers.onDamage(DIFFERENT);
  }
}

const SMALL_FILES = 256;

/** A small file with what is known of it. */
function heldBytes(entry: Entry): number {
  return entry.sizeBytes + entryBytes(entry);
}

/** What lies in holes is zeros, whatever the storage says: so the hash tells if the manifest is wrong about them. */
function withHoles(bytes: Buffer, extents: readonly { offsetBytes: number; lengthBytes: number }[]): Buffer {
  const content = Buffer.alloc(bytes.length);
  for (const { offsetBytes, lengthBytes } of extents)
    bytes.copy(content, offsetBytes, offsetBytes, offsetBytes + lengthBytes);
  return content;
}
