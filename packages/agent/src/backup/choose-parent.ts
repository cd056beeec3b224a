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
  readonly receipt: Receipt | undefined;
  /** Bytes of the checked manifest, on this machine. */
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

/** Reads the manifest from the storage; if it is byte for byte the one that is kept here, nothing more has to be done. */
async function checkedParent(options: {
  run: RunName;
  manifestSizeBytes: number;
  account: StorageAccount;
  state: StateFolder;
}): Promise<Parent> {
  const { run, manifestSizeBytes, account, state } = options;
  const stored = () => account.manifest(run, manifestSizeBytes);
  const receipt = await account.receipt(run);
  let kept = await state.keptManifest(run);
  const hash = createHash('sha256');
  if (kept) for await (const piece of stored()) hash.update(piece);
  const storedSha256 = kept && hash.digest('hex');
  if (!kept || kept.sha256 !== storedSha256) {
    await checkManifestBytes(stored(), { source: manifestName(run), run });
    await state.keepManifest(run, stored());
    kept = await state.keptManifest(run);
    if (!kept) throw new Error('a manifest that was just kept is gone');
  }
  const digest =
    receipt?.manifestSha256 === kept.sha256
      ? receipt.manifestDigest
      : (await checkManifestBytes(kept.read(), { source: manifestName(run), run })).digest;
  const { read } = kept;
  return { run, digest, receipt, manifest: () => read() };
}
