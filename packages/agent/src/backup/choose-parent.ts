import { ManifestError, checkManifestBytes, looksSealed, manifestName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import type { KeptManifest, StateFolder } from '../ports/state-folder.ts';
import type { Receipt, StorageAccount, StoredRun } from '../ports/storage-account.ts';
import { AgentError } from '../errors.ts';
import type { Encryption } from '../sealed/encryption.ts';
import { clearAfterSealed } from './same-seal.ts';
import { warnOfHistory } from './warn-of-history.ts';

/** The run that the new one links to, with a manifest that was found true. */
export interface Parent {
  readonly run: RunName;
  /** The digest in its trailer. */
  readonly digest: string;
  receipt(): Promise<Receipt | undefined>;
  /**
   * Resolves when the storage's copy of the manifest is known to be the one kept here, which is checked while the run is
   * already written; rejects with MANIFEST_DAMAGED if it is not. Nothing may be published before.
   */
  readonly verified: Promise<void>;
  /** What the storage must have as its manifest (hex). */
  readonly storedSha256: string;
  /** Bytes of the manifest, on this machine. */
  manifest(): AsyncGenerator<Buffer>;
}

/**
 * The newest complete run whose manifest is intact on the storage; undefined if there is none.
 * A damaged one is said, never used.
 * @throws AgentError CONFIG_INVALID if it is sealed and the new run would not be
 */
export async function chooseParent(options: {
  runs: readonly StoredRun[];
  account: StorageAccount;
  state: StateFolder;
  /** Runs that were found damaged while they were used. */
  damaged: ReadonlySet<string>;
  encryption: Encryption | undefined;
  /** Whether a clear run may follow a sealed one. */
  allowClear: boolean;
  onWarning: (text: string) => void;
}): Promise<Parent | undefined> {
  const { account, state, encryption, onWarning } = options;
  const complete = options.runs.filter((stored) => stored.state === 'complete');
  if (encryption) warnOfHistory(complete, { kept: await state.keptRuns(), onWarning });
  let isClosed = false;
  if (account.side?.mayRead === false) return blindParent({ newest: complete.at(-1), ...options });
  for (const { run, manifestSizeBytes } of complete.toReversed()) {
    if (manifestSizeBytes === undefined) {
      onWarning(
        `run ${run} is damaged: its manifest ${manifestName(run)} is missing; it is not compared with`,
      );
      continue;
    }
    if (options.damaged.has(run)) {
      onWarning(
        `run ${run} is damaged: ${manifestName(run)} was changed on the storage; it is not compared with`,
      );
      continue;
    }
    // one that can't be opened is enough: of older ones, only what is kept here can be read
    if (isClosed && !(await state.keptManifest(run))) continue;
    try {
      const parent = await checkedParent({ run, manifestSizeBytes, account, state, encryption });
      if (parent !== 'closed') return parent;
      isClosed = true;
      if (!encryption && !options.allowClear) throw clearAfterSealed(run);
      onWarning(
        `the manifest of ${run} is sealed, its copy is not kept here any more, and no private key that opens it is at hand: ` +
          'everything is read, and what is not known to be there is sent again; --identity-key FILE would spare that',
      );
    } catch (error) {
      if (
        !(error instanceof ManifestError) &&
        !(error instanceof AgentError && error.code === 'MANIFEST_DAMAGED')
      )
        throw error;
      onWarning(`run ${run} is damaged: ${error.message}; it is not compared with`);
    }
  }
  return undefined;
}

/** The key may add runs and read none: only the copy of the manifest that is kept here says what is there. */
async function blindParent(options: {
  newest: StoredRun | undefined;
  account: StorageAccount;
  state: StateFolder;
  damaged: ReadonlySet<string>;
  onWarning: (text: string) => void;
}): Promise<Parent | undefined> {
  const { newest, account, state, damaged, onWarning } = options;
  if (!newest) return undefined;
  const { run } = newest;
  const known = damaged.has(run) ? undefined : await state.keptManifest(run);
  if (known && known.stored.sizeBytes === newest.manifestSizeBytes) {
    return unread({ run, known, receipt: () => account.receipt(run) });
  }
  const why = damaged.has(run) ? 'is not what was written there' : 'is not kept here';
  onWarning(
    `the manifest of ${run} ${why}, and the key of this server may not read the storage's: everything is sent again`,
  );
  return undefined;
}

/** The storage says itself, when the run begins, whether it has that manifest. */
function unread(parts: { run: RunName; known: KeptManifest; receipt: Parent['receipt'] }): Parent {
  const { run, known, receipt } = parts;
  return {
    run,
    digest: known.digest,
    receipt,
    verified: Promise.resolve(),
    storedSha256: known.stored.sha256,
    manifest: () => known.read(),
  };
}

async function checkedParent(options: {
  run: RunName;
  manifestSizeBytes: number;
  account: StorageAccount;
  state: StateFolder;
  encryption: Encryption | undefined;
}): Promise<Parent | 'closed'> {
  const { run, manifestSizeBytes, account, state, encryption } = options;
  const stored = () => account.manifest(run, manifestSizeBytes);
  const receipt = () => account.receipt(run);
  const known = await state.keptManifest(run);
  // what this server remembers is not given up for what the storage shows
  if (known && known.stored.sizeBytes !== manifestSizeBytes) throw notWhatWasWritten(run);
  if (known) {
    if (account.side) return unread({ run, known, receipt });
    const verified = compareBytes(stored(), { run, sha256: known.stored.sha256 });
    verified.catch(() => undefined); // asked for before the publish
    return { ...unread({ run, known, receipt }), verified };
  }
  const isSealed = await startsSealed(stored());
  const open = isSealed ? await encryption?.opener() : undefined;
  if (isSealed && open === undefined) return 'closed';
  const hash = createHash('sha256');
  const source = manifestName(run);
  let digest: string;
  try {
    const bytes = hashed(stored(), hash);
    ({ digest } = await checkManifestBytes(open?.(bytes) ?? bytes, { source, run }));
  } catch (error) {
    if (error instanceof AgentError && error.code === 'KEY_WRONG') return 'closed';
    throw error;
  }
  const sha256 = hash.digest('hex');
  const checked = unlessOther(stored(), { run, sha256 });
  const about = open && { sizeBytes: manifestSizeBytes, sha256 };
  await state.keepManifest(run, open?.(checked) ?? checked, { digest, stored: about });
  const kept = await state.keptManifest(run);
  if (!kept) throw new Error('a manifest that was just kept is gone');
  return unread({ run, known: kept, receipt });
}

async function startsSealed(stored: AsyncIterable<Buffer>): Promise<boolean> {
  for await (const piece of stored) return looksSealed(piece);
  return false;
}

async function* hashed(bytes: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const piece of bytes) {
    hash.update(piece);
    yield piece;
  }
}

/** @throws AgentError MANIFEST_DAMAGED if the storage's copy is not byte for byte the one that is kept here */
async function compareBytes(
  stored: AsyncIterable<Buffer>,
  expected: { run: RunName; sha256: string },
): Promise<void> {
  for await (const _ of unlessOther(stored, expected));
}

/** The bytes as they come. @throws AgentError MANIFEST_DAMAGED at their end, if they were others than those with that hash */
async function* unlessOther(
  stored: AsyncIterable<Buffer>,
  { run, sha256 }: { run: RunName; sha256: string },
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  yield* hashed(stored, hash);
  if (hash.digest('hex') !== sha256) throw notWhatWasWritten(run);
}

function notWhatWasWritten(run: RunName): AgentError {
  return new AgentError(
    'MANIFEST_DAMAGED',
    `${manifestName(run)} on the storage is not what was written there`,
  );
}
