import { ManifestError, checkManifestBytes, manifestName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { createHash } from 'node:crypto';
import type { StateFolder } from '../ports/state-folder.ts';
import type { Receipt, StorageAccount, StoredRun } from '../ports/storage-account.ts';
import { AgentError } from '../errors.ts';

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
  /** Bytes of the manifest, on this machine. */
  manifest(): AsyncGenerator<Buffer>;
}

/**
 * The newest complete run whose manifest is intact on the storage; undefined if there is none.
 * A damaged one is said, never used.
 */
export async function chooseParent(options: {
  runs: readonly StoredRun[];
  account: StorageAccount;
  state: StateFolder;
  /** Runs that were found damaged while they were used. */
  damaged: ReadonlySet<string>;
  onWarning: (text: string) => void;
}): Promise<Parent | undefined> {
  const { account, state, onWarning } = options;
  const complete = options.runs.filter((stored) => stored.state === 'complete');
  for (const { run, manifestSizeBytes } of complete.toReversed()) {
    if (manifestSizeBytes === undefined) {
      onWarning(
        `run ${run} is damaged: its manifest ${manifestName(run)} is missing; an older run is the parent`,
      );
      continue;
    }
    if (options.damaged.has(run)) {
      onWarning(
        `run ${run} is damaged: ${manifestName(run)} was changed on the storage; an older run is the parent`,
      );
      continue;
    }
    try {
      return await checkedParent({ run, manifestSizeBytes, account, state });
    } catch (error) {
      if (
        !(error instanceof ManifestError) &&
        !(error instanceof AgentError && error.code === 'MANIFEST_DAMAGED')
      )
        throw error;
      onWarning(`run ${run} is damaged: ${error.message}; an older run is the parent`);
    }
  }
  return undefined;
}

async function checkedParent(options: {
  run: RunName;
  manifestSizeBytes: number;
  account: StorageAccount;
  state: StateFolder;
}): Promise<Parent> {
  const { run, manifestSizeBytes, account, state } = options;
  const stored = () => account.manifest(run, manifestSizeBytes);
  const receipt = () => account.receipt(run);
  const known = await state.keptManifest(run);
  if (known?.sizeBytes === manifestSizeBytes) {
    const verified = compareBytes(stored(), { run, sha256: known.sha256 });
    verified.catch(() => undefined); // asked for before the publish
    return { run, digest: known.digest, receipt, verified, manifest: () => known.read() };
  }
  const { digest } = await checkManifestBytes(stored(), { source: manifestName(run), run });
  await state.keepManifest(run, stored(), digest);
  const kept = await state.keptManifest(run);
  if (!kept) throw new Error('a manifest that was just kept is gone');
  return { run, digest, receipt, verified: Promise.resolve(), manifest: () => kept.read() };
}

/** @throws AgentError MANIFEST_DAMAGED if the storage's copy is not byte for byte the one that is kept here */
async function compareBytes(
  stored: AsyncIterable<Uint8Array>,
  { run, sha256 }: { run: RunName; sha256: string },
): Promise<void> {
  const hash = createHash('sha256');
  for await (const piece of stored) hash.update(piece);
  if (hash.digest('hex') === sha256) return;
  throw new AgentError(
    'MANIFEST_DAMAGED',
    `${manifestName(run)} on the storage is not what was written there`,
  );
}
