import {
  MAX_LISTED_RUNS,
  PRIVATE_FOLDER,
  compareRunNames,
  incompleteName,
  isToken,
  manifestName,
  nextRunName,
} from '@bakker/impl-format/storage';
import type {
  BeginReply,
  Freeze,
  ListReply,
  ListRequest,
  RunName,
  UsageReply,
  VerdictsReply,
  VerdictsRequest,
} from '@bakker/impl-format/storage';
import { hasCode, makeFolderAt, openBeneath, openFolderBeneath, unlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import type { AccountPolicy } from '../../policy/account-policy.ts';
import type { Account, AccountReader, NewRun } from '../../ports/account.ts';
import type { SpaceGuard } from '../../ports/space-guard.ts';
import { mendNames } from '../runs/remove-run.ts';
import { RemovalFolders, lookAtTrash } from '../runs/trash-folder.ts';
import { adoptUnfinished, issueToken } from './carried.ts';
import { DiskFreeze } from './disk-freeze.ts';
import { DiskReader } from './disk-reader.ts';
import { DiskRun } from './disk-run.ts';
import { DiskSpace } from './disk-space.ts';
import { hurtFiles } from './hurt-file.ts';
import type { HurtFiles } from './hurt-file.ts';
import { holdRun, lockNames, lockNamesSync, trySessionLock } from './locks.ts';
import type { HeldRun } from './locks.ts';
import { latestRun, latestTarget, lookAt, manifestSizeBytes } from './look.ts';
import { countedObjects, readReceipt } from './receipt-file.ts';
import { pointLatestAt, readFully, readSmallFile, replaceFile } from './steps.ts';

export interface DiskAccountOptions {
  readonly name: string;
  /** Stays the caller's. */
  readonly account: FolderHandle;
  /** A session that only reads makes nothing, not even what an account should have. */
  readonly mayWrite: boolean;
  /** Of `.bakker/account.yaml`. */
  readonly policy: AccountPolicy;
  readonly nowMs: () => number;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** An account on a disk, reached by handles below its folder. */
export class DiskAccount implements Account, AsyncDisposable {
  readonly name: string;
  readonly maxPathBytes = MAX_PATH_BYTES;
  readonly reader: AccountReader;
  readonly space: SpaceGuard;
  readonly #options: DiskAccountOptions;
  readonly #hidden: FolderHandle | undefined;
  readonly #freeze: DiskFreeze;
  #run: DiskRun | undefined;

  /** Makes what is missing of `.bakker`, if it may. @throws errno errors */
  constructor(options: DiskAccountOptions) {
    const { account, mayWrite, policy, nowMs } = options;
    this.#options = options;
    this.name = options.name;
    this.#hidden = mayWrite ? ensureHidden(account) : undefined;
    this.reader = new DiskReader(account);
    this.space = new DiskSpace({ account, hidden: this.#hidden, rules: () => policy.space, nowMs });
    this.#freeze = new DiskFreeze({ account, rules: () => policy.freeze });
  }

  identity(): string {
    const { account } = this.#options;
    const known = readIdentity(account);
    if (known !== undefined) return known;
    // A session that may not write tells accounts apart by what can't change while they are there.
    if (this.#hidden === undefined) {
      const { dev, ino } = fstatSync(account.fd);
      return createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32);
    }
    using _names = lockNamesSync(account);
    const other = readIdentity(account);
    if (other !== undefined) return other;
    const made = randomBytes(16).toString('hex');
    replaceFile(this.#hidden, { folder: this.#hidden, name: IDENTITY }, Buffer.from(`${made}\n`));
    return made;
  }

  agentConfig(): string | null {
    const { account } = this.#options;
    return readSmallFile(account, AGENT_CONFIG, MAX_CONFIG_BYTES)?.toString('utf8') ?? null;
  }

  frozen(): Freeze | null {
    return this.#freeze.current();
  }

  list({ after, receipts = false }: ListRequest): ListReply {
    const { account } = this.#options;
    const { complete, incomplete } = lookAt(account);
    const all = [
      ...complete.map((run) => ({ run, state: 'complete' as const })),
      ...incomplete.map((run) => ({ run, state: 'incomplete' as const })),
    ];
    all.sort((a, b) => compareRunNames(a.run, b.run));
    const rest = after === undefined ? all : all.filter(({ run }) => compareRunNames(run, after) > 0);
    return {
      runs: rest.slice(0, MAX_LISTED_RUNS).map(({ run, state }) => ({
        run,
        state,
        manifestSizeBytes: state === 'complete' ? manifestSizeBytes(account, run) : null,
        receipt: receipts ? (readReceipt(account, run) ?? null) : null,
      })),
      latest: latestRun(account) ?? null,
      more: rest.length > MAX_LISTED_RUNS,
    };
  }

  async verdicts(request: VerdictsRequest): Promise<VerdictsReply> {
    const { account, policy, nowMs } = this.#options;
    const { judgeStored } = await import('./judge-stored.ts');
    return judgeStored(account, { rules: policy.retention, nowMs: nowMs(), after: request.after });
  }

  async usage(asked: readonly RunName[]): Promise<UsageReply> {
    const { account, signal } = this.#options;
    const { measureRuns } = await import('../runs/measure-runs.ts');
    const { runs, together } = await measureRuns(account, asked, signal);
    return {
      runs: runs.map(({ run, freed }) => ({ run, freesBytes: freed.bytes })),
      together: together.bytes,
    };
  }

  async begin(parent: RunName | null): Promise<NewRun> {
    const { account, nowMs, signal } = this.#options;
    const hidden = this.#hidden;
    if (hidden === undefined) throw new StorageError('DENIED', 'this session may not write');
    using stack = new DisposableStack();
    const lock = trySessionLock(account);
    if (lock === undefined) {
      throw new StorageError('LOCKED', `another session writes to the account ${this.name}`, {
        hint: 'wait until it has ended',
      });
    }
    stack.use(lock);
    await this.space.prepare(signal);
    const held = parent === null ? undefined : this.#hold(parent);
    if (held !== undefined) stack.use(held.run);
    const started = await startRun({ account, hidden }, nowMs());
    stack.use(started.root);
    const hurt = parent === null ? NOTHING_HURT : knownHurt(account, parent);
    const begun: BeginReply = {
      run: started.run,
      token: started.token,
      carried: started.carried,
      parent: held === undefined ? null : { run: held.name, manifestSha256: held.manifestSha256 },
      hurt: hurt.files,
    };
    this.#run = new DiskRun({
      folders: { account, hidden },
      begun,
      root: started.root,
      parent: held?.run,
      parentBytes: held && countedObjects(account, held.name)?.bytes,
      lock,
      hurtInodes: hurt.inodes,
      space: this.space,
      freeze: this.#freeze,
      nowMs,
      signal,
    });
    stack.move();
    return this.#run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run?.[Symbol.asyncDispose]();
    this.space.save();
    this.#hidden?.[Symbol.dispose]();
  }

  /** Keeps retention from taking the parent away under the session. */
  #hold(parent: RunName): { run: HeldRun; name: RunName; manifestSha256: string } {
    const { account } = this.#options;
    const run = holdRun(account, parent);
    const manifestSha256 = run && hashManifest(account, parent);
    if (run !== undefined && manifestSha256 !== undefined) return { run, name: parent, manifestSha256 };
    run?.[Symbol.dispose]();
    throw new StorageError('PARENT_CHANGED', `there is no complete run ${parent} with a manifest`);
  }
}

/** `.bakker/carried/TOKEN` and `.bakker/trash/…` are longer than a run's first name, and plain storage reserves as much. */
const MAX_PATH_BYTES = 4095 - 80;
const FOLDER_MODE = 0o700;
const PRIVATE_NAME = Buffer.from(PRIVATE_FOLDER);
const SUBFOLDERS = ['receipts', 'trash'].map((name) => Buffer.from(name));
const IDENTITY = Buffer.from('id');
const AGENT_CONFIG = `${PRIVATE_FOLDER}/agent.yaml`;
const MAX_CONFIG_BYTES = 64 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** With paths of ordinary length, these fit in a reply. */
const MAX_HURT_FILES = 4096;
const NOTHING_HURT: HurtFiles = { files: [], inodes: new Set() };

function ensureHidden(account: FolderHandle): FolderHandle {
  makeFolderAt({ folder: account, name: PRIVATE_NAME }, FOLDER_MODE);
  const hidden = openFolderBeneath(account, PRIVATE_NAME);
  for (const name of SUBFOLDERS) makeFolderAt({ folder: hidden, name }, FOLDER_MODE);
  return hidden;
}

function readIdentity(account: FolderHandle): string | undefined {
  const text = readSmallFile(account, `${PRIVATE_FOLDER}/id`, 64)?.toString('latin1').trim();
  return text !== undefined && isToken(text) ? text : undefined;
}

/** SHA-256 of the stored bytes; undefined if there is no manifest, or the disk does not give it. */
function hashManifest(account: FolderHandle, run: RunName): string | undefined {
  let fd: number;
  try {
    fd = openBeneath(account, Buffer.from(manifestName(run)), {
      flags: constants.O_RDONLY | constants.O_NONBLOCK,
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP')) return undefined;
    throw error;
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    for (let offsetBytes = 0; ;) {
      const read = readFully(fd, piece, offsetBytes);
      hash.update(piece.subarray(0, read));
      offsetBytes += read;
      if (read < piece.length) return hash.digest('hex');
    }
  } catch (error) {
    if (hasCode(error, 'EIO')) return undefined;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** @throws StorageError PARENT_CHANGED if so much is damaged that the run is no parent any more */
function knownHurt(account: FolderHandle, parent: RunName): HurtFiles {
  const hurt = hurtFiles(account, parent);
  if (hurt.files.length <= MAX_HURT_FILES) return hurt;
  throw new StorageError('PARENT_CHANGED', `${hurt.files.length} files of ${parent} are damaged`);
}

interface StartedRun {
  readonly run: RunName;
  readonly token: string;
  readonly carried: readonly string[];
  readonly root: FolderHandle;
}

/** Mends what a killed session left, takes unfinished runs out of the way, and makes the folder of the new one. */
async function startRun(
  folders: { account: FolderHandle; hidden: FolderHandle },
  nowMs: number,
): Promise<StartedRun> {
  const { account, hidden } = folders;
  using _names = await lockNames(account);
  using removal = new RemovalFolders(account);
  mendNames(removal);
  const { complete, incomplete, manifests, others } = lookAt(account);
  for (const run of manifests) {
    if (complete.includes(run) || others.has(run)) continue;
    unlinkAt({ folder: account, name: Buffer.from(manifestName(run)) });
  }
  const newest = complete.at(-1);
  if (newest !== undefined && latestTarget(account) !== newest) pointLatestAt(folders, newest);
  const carried = adoptUnfinished(folders, incomplete);
  // Names in the trash are taken, too: else what lies there could not be brought back.
  const { entries } = lookAtTrash(removal.trash);
  const run = nextRunName([...complete, ...others, ...entries.map((trashed) => trashed.run)], nowMs);
  const token = issueToken(hidden, run);
  const name = Buffer.from(incompleteName(run));
  if (!makeFolderAt({ folder: account, name }, FOLDER_MODE)) {
    throw new StorageError('NAME_TAKEN', `something has the name ${name.toString()} already`);
  }
  return { run, token, carried, root: openFolderBeneath(account, name) };
}
