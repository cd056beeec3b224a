import { escapeName } from '@bakker/command-line';
import {
  CLONE_FILE_VERSION,
  VERB,
  parseBeginReply,
  parseEmptyReply,
  parsePublishReply,
} from '@bakker/impl-format';
import type { BeginReply, ManifestFollower, PublishRequest, RunName } from '@bakker/impl-format';
import { OPEN, SftpStatusError } from '@bakker/sftp';
import { AgentError } from '../../errors.ts';
import type {
  BeginOptions,
  ConfirmedParent,
  FileSink,
  Keeper,
  LinkOutcome,
  NewFile,
  OlderFile,
  PatchSink,
  Published,
  PublishOptions,
  RunWriter,
  StoredPlace,
} from '../../ports/storage-account.ts';
import { startsWith } from '../sftp/starts-with.ts';
import { createBody, stringIn } from './body-writer.ts';
import { ManifestUplink } from './manifest-uplink.ts';
import { ShellPatchSink } from './patch-sink.ts';
import { NewFileSink, flagsOf } from './new-file-sink.ts';
import { PutQueue } from './put-queue.ts';
import { TreeQueue } from './tree-queue.ts';
import { ManifestDiffers } from './verb-client.ts';
import type { VerbClient } from './verb-client.ts';

/** Requests that wait for their answer; beyond it more only cost memory. */
const MAX_PENDING = 512;
/** The session of a process that has just ended lets go of the account within this time. */
const LOCK_RETRIES = { forMs: 3_000, waitMs: 250 };
const ABANDON_WITHIN_MS = 2_000;

/** Writes a run by the verbs of the account's shell. */
export class ShellRunWriter implements RunWriter {
  readonly run: RunName;
  readonly folder: string;
  readonly carriedFolders: readonly string[];
  readonly maxPathBytes: number;
  readonly tellsHashes = true;
  readonly parent?: ConfirmedParent;
  readonly keeper?: Keeper;
  readonly manifestFollower?: ManifestFollower;
  readonly openFileFrom?: NonNullable<RunWriter['openFileFrom']>;
  readonly #verbs: VerbClient;
  readonly #tree: TreeQueue;
  readonly #uplink: ManifestUplink;
  readonly #puts: PutQueue;
  readonly #parentRun: RunName | undefined;
  #stage: 'untouched' | 'writing' | 'published' | 'released' = 'untouched';

  private constructor(verbs: VerbClient, begun: BeginReply, maxPathBytes: number) {
    this.#verbs = verbs;
    this.#tree = new TreeQueue(verbs);
    this.#uplink = new ManifestUplink(verbs);
    this.#puts = new PutQueue(verbs);
    this.run = begun.run;
    this.folder = begun.token;
    this.carriedFolders = begun.carried;
    this.maxPathBytes = maxPathBytes;
    this.#parentRun = begun.parent?.run;
    if (verbs.sftp.extensions.get(VERB.cloneFile) === CLONE_FILE_VERSION)
      this.openFileFrom = (path, older, about) => this.#openFileFrom(path, older, about);
    if (!begun.parent) return;
    const { run, manifestSha256 } = begun.parent;
    const hurt = new Set(
      begun.hurt.filter((file) => file.run === run).map(({ path }) => path.toString('latin1')),
    );
    const hasHurt = hurt.size > 0;
    this.parent = {
      manifestSha256,
      hasHurt,
      isHurt: (path) => hasHurt && hurt.has(path.toString('latin1')),
    };
    this.keeper = this.#tree;
    this.manifestFollower = this.#uplink;
  }

  /** @throws AgentError LOCKED, ParentChanged */
  static async begin(
    verbs: VerbClient,
    { parent, maxPathBytes }: Pick<BeginOptions, 'parent'> & { maxPathBytes: number },
  ): Promise<ShellRunWriter> {
    // by the clock: a storage waits for half a minute before it says that somebody keeps its names
    const untilMs = performance.now() + LOCK_RETRIES.forMs;
    for (;;) {
      try {
        const begun = await verbs.json(VERB.begin, { parent: parent ?? null }, parseBeginReply);
        return new ShellRunWriter(verbs, begun, maxPathBytes);
      } catch (error) {
        const isLocked = error instanceof AgentError && error.code === 'LOCKED';
        if (!isLocked || performance.now() >= untilMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, LOCK_RETRIES.waitMs));
      }
    }
  }

  ready(): Promise<void> | undefined {
    this.#stage = 'writing';
    const waits = this.#tree.ready() ?? this.#uplink.ready();
    if (waits) return waits;
    const { sftp } = this.#verbs;
    if (sftp.pending < MAX_PENDING) return undefined;
    return sftp.below(MAX_PENDING / 2).catch((error: unknown) => {
      throw this.#verbs.explained(error, 'write');
    });
  }

  directory(path: Buffer): Promise<void> {
    this.#stage = 'writing';
    return this.#tree.directory(path);
  }

  symlink(path: Buffer, target: Buffer): Promise<boolean> {
    this.#stage = 'writing';
    return this.#tree.symlink(path, target).then(isDone);
  }

  link(path: Buffer, from: StoredPlace): Promise<LinkOutcome> {
    this.#stage = 'writing';
    const isParent = from.folder === this.#parentRun;
    if (isParent && this.parent?.isHurt(from.path)) return Promise.resolve('hurt');
    return this.#tree.link(path, isParent ? '' : from.folder, from.path);
  }

  file(path: Buffer, content: Buffer, about: NewFile): Promise<void> {
    this.#stage = 'writing';
    return this.#puts.add(path, content, about);
  }

  async openFile(path: Buffer, about: NewFile): Promise<FileSink> {
    this.#stage = 'writing';
    const body = createBody(path, { flags: flagsOf(about), expectedBytes: about.expectedBytes ?? 0 });
    const what = `write ${escapeName(path)}`;
    const bytes = stringIn(await this.#verbs.call(VERB.create, body, undefined, what));
    if (!bytes) throw new AgentError('STORAGE_REFUSED', `the storage gave no handle to ${what}`);
    return new NewFileSink(this.#verbs, { bytes, path }, about);
  }

  /** False also where the key may not read. */
  async #startsWith(path: Buffer, begins: Buffer): Promise<boolean> {
    const { sftp } = this.#verbs;
    try {
      const handle = await sftp.open(path, OPEN.READ);
      try {
        return await startsWith(sftp, handle, begins);
      } finally {
        sftp.close(handle).catch(() => undefined);
      }
    } catch (error) {
      if (error instanceof SftpStatusError) return false;
      throw this.#verbs.explained(error, `read ${escapeName(path)}`);
    }
  }

  async #openFileFrom(
    path: Buffer,
    { place, sizeBytes, begins }: OlderFile,
    about: NewFile,
  ): Promise<PatchSink | undefined> {
    this.#stage = 'writing';
    if (place.folder === this.#parentRun && this.parent?.isHurt(place.path)) return undefined;
    const source = Buffer.concat([Buffer.from(`${place.folder}/`), place.path]);
    if (begins !== undefined && !(await this.#startsWith(source, begins))) return undefined;
    const mostBytes = Math.min(sizeBytes, about.expectedBytes ?? sizeBytes);
    return new ShellPatchSink(this.#verbs, { source, path, mostBytes }, about);
  }

  async publish(options: PublishOptions): Promise<Published> {
    if (this.manifestFollower && options.isSealed !== true) {
      await Promise.all([this.#tree.finish(), this.#uplink.finish()]);
      if (!this.#uplink.isRefused) {
        try {
          return await this.#publish(options, null);
        } catch (error) {
          // a line that was thought to be the parent's is not: the manifest goes as it is
          if (!(error instanceof ManifestDiffers)) throw error;
        }
      }
    }
    await Promise.all([this.#tree.finish(), this.#uplink.sendFile(options.manifest())]);
    return this.#publish(options, options.receipt.manifestSha256);
  }

  async cleanUp(): Promise<void> {
    if (this.carriedFolders.length > 0) await this.release();
  }

  /** Lets go of the account, so that the session can begin another run. */
  async release(): Promise<void> {
    if (this.#stage === 'released') return;
    const verb = this.#stage === 'published' ? VERB.cleanUp : VERB.abandon;
    this.#stage = 'released';
    await this.#verbs.json(verb, {}, parseEmptyReply);
  }

  /** What was written stays, for the next run to carry over; a run that nothing was written to is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stage !== 'untouched') return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ABANDON_WITHIN_MS);
    await Promise.race([this.release().catch(() => undefined), late]);
    clearTimeout(timer);
  }

  async #publish({ objects, receipt }: PublishOptions, manifestSha256: string | null): Promise<Published> {
    const { status, startedAtMs, finishedAtMs, files, sourceBytes, addedBytes, manifestDigest, frozen } =
      receipt;
    const figures = { status, startedAtMs, finishedAtMs, files, sourceBytes, addedBytes, manifestDigest };
    const request: PublishRequest = {
      objects,
      manifestSha256,
      receipt: frozen === undefined ? figures : { ...figures, frozen },
    };
    const reply = await this.#verbs.json(VERB.publish, request, parsePublishReply);
    this.#stage = 'published';
    return {
      manifestSha256: reply.manifestSha256,
      manifestSizeBytes: reply.manifestSizeBytes,
      frozen: reply.frozen ?? undefined,
    };
  }
}

function isDone(): true {
  return true;
}
