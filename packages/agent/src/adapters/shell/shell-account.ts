import { escapeName } from '@bakker/command-line';
import {
  GET_MANY_VERSION,
  MAX_GET_BYTES,
  PROTOCOL_VERSIONS,
  VERB,
  manifestName,
  parseHelloReply,
  parseListReply,
  parseSpaceGrant,
  parseSpaceReply,
  parseVerdictsReply,
} from '@bakker/impl-format';
import type { Extent, HelloReply, ListedRun, RunName, RunVerdict } from '@bakker/impl-format';
import { MAX_WRITE_BYTES, OPEN, STATUS, SftpStatusError, listFolder } from '@bakker/sftp';
import type { Handle, SftpClient } from '@bakker/sftp';
import { VERSION } from '../../cli/version.ts';
import { AgentError } from '../../errors.ts';
import type {
  Abilities,
  BeginOptions,
  Receipt,
  RunWriter,
  SmallFile,
  Space,
  StorageAccount,
  StorageSide,
  StoredItem,
  StoredRun,
  WantedContent,
} from '../../ports/storage-account.ts';
import { unlessLineLost } from '../../reconnecting.ts';
import { joinPath } from '../plain/file-store.ts';
import { manifestUnread } from '../plain/manifest-unread.ts';
import { receiptOf } from '../plain/receipt-text.ts';
import { readAhead } from '../sftp/read-ahead.ts';
import { toStoredItem } from '../sftp/stored-item.ts';
import { getBody, getManyBody, gotFiles, stringIn } from './body-writer.ts';
import type { GotFile } from './body-writer.ts';
import { ShellRunWriter } from './run-writer.ts';
import { VerbClient } from './verb-client.ts';

/** An account whose forced command is `bakker-storage shell`. */
export class ShellAccount implements StorageAccount {
  readonly address: string;
  readonly side: StorageSide;
  readonly readFiles?: NonNullable<StorageAccount['readFiles']>;
  readonly #verbs: VerbClient;
  readonly #hello: HelloReply;
  readonly #skewMs: number;
  readonly #close: () => Promise<void>;
  #receipts: Promise<ReadonlyMap<RunName, Receipt>> | undefined;
  #writer: ShellRunWriter | undefined;

  private constructor(parts: {
    address: string;
    verbs: VerbClient;
    hello: HelloReply;
    skewMs: number;
    close: () => Promise<void>;
  }) {
    this.address = parts.address;
    this.#verbs = parts.verbs;
    this.#hello = parts.hello;
    this.#skewMs = parts.skewMs;
    this.#close = parts.close;
    if (parts.verbs.sftp.extensions.get(VERB.getMany) === GET_MANY_VERSION)
      this.readFiles = (run, files) => this.#getMany(run, files);
    const { program, account, role, mayRead, frozen } = parts.hello;
    this.side = {
      program,
      account,
      role,
      mayRead,
      frozen: frozen ?? undefined,
      verdicts: () => this.#judged(),
      requestSpace: (bytes) => this.#requestSpace(bytes),
    };
  }

  /**
   * Greets the shell. @param close - ends the connection, also if this fails
   * @throws AgentError STORAGE_UNFIT if it speaks no version that we do
   */
  static async open(options: {
    client: SftpClient;
    address: string;
    close: () => Promise<void>;
  }): Promise<ShellAccount> {
    const { client, address, close } = options;
    const verbs = new VerbClient(client, address);
    const askedMs = Date.now();
    const request = { versions: PROTOCOL_VERSIONS, program: `bakker ${VERSION}` };
    const hello = await verbs.json(VERB.hello, request, parseHelloReply);
    const skewMs = hello.nowMs - (askedMs + Date.now()) / 2;
    return new ShellAccount({ address, verbs, hello, skewMs, close });
  }

  async agentConfig(): Promise<string | undefined> {
    return this.#hello.agentConfig ?? undefined;
  }

  async identity(): Promise<string> {
    return this.#hello.identity;
  }

  async probe(): Promise<Abilities> {
    return {
      hardLinks: true,
      atomicRename: true,
      symlinks: true,
      fsync: true,
      serverSideCopy: false,
      anyBytesInNames: true,
      clockSkewMs: Math.round(this.#skewMs),
    };
  }

  async listRuns(): Promise<readonly StoredRun[]> {
    const { runs } = await this.#list(false);
    return runs.map(({ run, state, manifestSizeBytes }) => ({
      run,
      state,
      manifestSizeBytes: state === 'complete' ? (manifestSizeBytes ?? undefined) : undefined,
    }));
  }

  async latest(): Promise<RunName | undefined> {
    return (await this.#list(false)).latest;
  }

  async receipt(run: RunName): Promise<Receipt | undefined> {
    const receipts = await (this.#receipts ??= this.#readReceipts());
    return receipts.get(run);
  }

  async *manifest(run: RunName): AsyncGenerator<Buffer> {
    try {
      const all = [{ offsetBytes: 0, lengthBytes: Number.MAX_SAFE_INTEGER }];
      for await (const { bytes } of this.#read(Buffer.from(manifestName(run)), all)) yield bytes;
    } catch (error) {
      throw manifestUnread(error, { run, address: this.address });
    }
  }

  /** One byte more than expected is asked for, so that a file that is too long does not look right. */
  async readFile(run: RunName, path: Buffer, sizeBytes: number): Promise<Buffer> {
    this.#refuseUnread();
    const full = joinPath(Buffer.from(run), path);
    if (sizeBytes >= MAX_GET_BYTES) return this.#readWhole(full, sizeBytes + 1);
    const what = `read ${escapeName(full)}`;
    try {
      const body = await this.#verbs.call(VERB.get, getBody(full, sizeBytes + 1), undefined, what);
      const content = stringIn(body);
      if (!content) throw new AgentError('STORAGE_REFUSED', `the storage gave no content to ${what}`);
      return content;
    } catch (error) {
      // a longer file is refused as a whole; that it is too long is for the caller to see
      if (!(error instanceof AgentError) || error.code !== 'STORAGE_REFUSED') throw error;
      return this.#readWhole(full, sizeBytes + 1);
    }
  }

  readExtents(
    run: RunName,
    path: Buffer,
    { extents }: WantedContent,
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    return this.#read(joinPath(Buffer.from(run), path), extents);
  }

  async listFolder(run: RunName, path: Buffer): Promise<readonly StoredItem[]> {
    this.#refuseUnread();
    const full = joinPath(Buffer.from(run), path);
    const items: StoredItem[] = [];
    try {
      for await (const batch of listFolder(this.#verbs.sftp, full)) items.push(...batch.map(toStoredItem));
    } catch (error) {
      throw this.#verbs.explained(error, `list ${escapeName(full)}`);
    }
    return items;
  }

  async begin({ parent }: BeginOptions): Promise<RunWriter> {
    await this.#writer?.release();
    this.#receipts = undefined;
    const { maxPathBytes } = this.#hello;
    return (this.#writer = await ShellRunWriter.begin(this.#verbs, { parent, maxPathBytes }));
  }

  async removeRun(run: RunName): Promise<void> {
    throw new AgentError('STORAGE_REFUSED', `the storage retires runs itself: ${run} stays`, {
      hint: 'its administrator can: bakker-storage retention there',
    });
  }

  async emptyTrash(): Promise<void> {
    // the storage does, after the time in which a run can be brought back
  }

  async space(): Promise<Space | undefined> {
    const told = await this.#verbs.json(VERB.space, {}, parseSpaceReply);
    if (told.totalBytes === null || told.freeBytes === null) return undefined;
    const { limitBytes, usedBytes, requestedBytes } = told;
    return {
      totalBytes: told.totalBytes,
      freeBytes: told.freeBytes,
      freeInodes: told.freeInodes ?? undefined,
      ...(limitBytes === null ? {} : { limitBytes }),
      ...(usedBytes === null ? {} : { usedBytes }),
      ...(requestedBytes === null ? {} : { requestedBytes }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #judged(): Promise<readonly RunVerdict[] | undefined> {
    const verdicts: RunVerdict[] = [];
    try {
      for (;;) {
        const after = verdicts.at(-1)?.run;
        const request = after === undefined ? {} : { after };
        const { runs, more } = await this.#verbs.json(VERB.verdicts, request, parseVerdictsReply);
        verdicts.push(...runs);
        if (!more || runs.length === 0) return verdicts;
      }
    } catch (error) {
      if (error instanceof AgentError && error.code === 'STORAGE_UNFIT') return undefined;
      throw error;
    }
  }

  async #requestSpace(bytes: number): Promise<{ grantedBytes: number; limitBytes: number | undefined }> {
    const { grantedBytes, limitBytes } = await this.#verbs.json(
      VERB.requestSpace,
      { bytes },
      parseSpaceGrant,
    );
    return { grantedBytes, limitBytes: limitBytes ?? undefined };
  }

  async #list(receipts: boolean): Promise<{ runs: readonly ListedRun[]; latest: RunName | undefined }> {
    const runs: ListedRun[] = [];
    for (;;) {
      const after = runs.at(-1)?.run;
      const request = { ...(after === undefined ? {} : { after }), ...(receipts ? { receipts } : {}) };
      const reply = await this.#verbs.json(VERB.list, request, parseListReply);
      runs.push(...reply.runs);
      if (!reply.more || reply.runs.length === 0) return { runs, latest: reply.latest ?? undefined };
    }
  }

  async #readReceipts(): Promise<ReadonlyMap<RunName, Receipt>> {
    const known = new Map<RunName, Receipt>();
    for (const { run, receipt } of (await this.#list(true)).runs) {
      const read = receipt && receiptOf(receipt, run);
      if (read) known.set(run, read);
    }
    return known;
  }

  async #getMany(run: RunName, files: readonly SmallFile[]): Promise<(Buffer | Error)[]> {
    this.#refuseUnread();
    const folder = Buffer.from(run);
    const wanted = files.map(({ path, sizeBytes }) => ({
      path: joinPath(folder, path),
      mostBytes: sizeBytes + 1,
    }));
    const what = `read ${files.length} files`;
    const got = gotFiles(await this.#verbs.call(VERB.getMany, getManyBody(wanted), undefined, what));
    if (got === undefined)
      throw new AgentError('STORAGE_REFUSED', `the storage's answer to ${what} makes no sense`);
    return Promise.all(files.map((file, index) => this.#contentOf(run, file, got[index])));
  }

  /** What one message has no room for, or is longer than it should be, is read alone. */
  async #contentOf(
    run: RunName,
    { path, sizeBytes }: SmallFile,
    got: GotFile | undefined,
  ): Promise<Buffer | Error> {
    if (got?.status === STATUS.OK) return got.bytes;
    if (got === undefined || got.status === STATUS.FAILURE) {
      return this.readFile(run, path, sizeBytes).catch(unlessLineLost);
    }
    const subject = { request: VERB.getMany, path };
    const refused = SftpStatusError.light(got.status, subject, got.bytes);
    const explained = this.#verbs.explained(refused, `read ${escapeName(joinPath(Buffer.from(run), path))}`);
    return unlessLineLost(explained);
  }

  async #readWhole(path: Buffer, mostBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const extent = { offsetBytes: 0, lengthBytes: mostBytes };
    for await (const { bytes } of this.#read(path, [extent])) pieces.push(bytes);
    return Buffer.concat(pieces);
  }

  async *#read(
    path: Buffer,
    extents: readonly Extent[],
  ): AsyncGenerator<{ offsetBytes: number; bytes: Buffer }> {
    this.#refuseUnread();
    const { sftp } = this.#verbs;
    let handle: Handle | undefined;
    try {
      handle = await sftp.open(path, OPEN.READ);
      for (const extent of extents) yield* readAhead(sftp, handle, { extent, maxReadBytes: MAX_WRITE_BYTES });
    } catch (error) {
      throw this.#verbs.explained(error, `read ${escapeName(path)}`);
    } finally {
      if (handle) sftp.close(handle).catch(() => undefined);
    }
  }

  /** Said in our words before the storage says it in its own, for each file. */
  #refuseUnread(): void {
    if (this.side.mayRead) return;
    // What a storage says of itself gets into no command that is more than a name.
    const account = /^[a-z][a-z0-9_-]*$/.test(this.side.account) ? this.side.account : 'NAME';
    throw new AgentError(
      'READING_DENIED',
      `this server's key may add runs to ${this.address}, but not read them`,
      {
        hint:
          `on the storage, bakker-storage provision ${account} --allow-read lets it read ` +
          `(later --no-read takes that back); or let another key in, bakker-storage grant ${account} --key FILE, and name it in identity:`,
      },
    );
  }
}
