import type { ObjectCounts, RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { ManifestDraft, StateFolder, StoredManifest } from '../ports/state-folder.ts';
import type {
  Published,
  PublishOptions,
  Receipt,
  RunWriter,
  StorageAccount,
} from '../ports/storage-account.ts';
import type { SealedRun } from '../sealed/encryption.ts';
import { rememberClearRun } from '../sealed/remember-clear-run.ts';
import { ManifestOutput } from './manifest-output.ts';
import type { Tally } from './tally.ts';

/** What is published of a run whose content is all there. */
export interface PublishedRun {
  readonly writer: RunWriter;
  /** The clear manifest, written to its end; and what that is. */
  readonly draft: ManifestDraft;
  readonly manifest: StoredManifest;
  readonly receipt: PublishOptions['receipt'];
  readonly objects: ObjectCounts;
  readonly tally: Tally;
  readonly sealed: SealedRun | null;
}

export interface PublishPorts {
  readonly state: StateFolder;
  /** Of the account. */
  readonly accountId: () => Promise<string>;
  /** Runs that are complete there. */
  readonly complete: readonly RunName[];
  /** Opens the account anew, to see whether a publish was done whose answer was lost. */
  readonly openAccount: () => Promise<StorageAccount>;
}

/**
 * Publishes a run, clear or sealed. What this server must remember of it in any case is on its disk before.
 *
 * @returns what the storage says of it; undefined where it only stores
 */
export async function publishRun(run: PublishedRun, ports: PublishPorts): Promise<Published | undefined> {
  const { writer, draft, manifest, receipt, objects, tally, sealed } = run;
  const { state, complete, openAccount } = ports;
  draft.flush();
  if (sealed === null) {
    await rememberClearRun(writer.run, { state, accountId: await ports.accountId(), complete });
    return await publish(writer, {
      manifest: () => draft.read(),
      manifestSizeBytes: manifest.sizeBytes,
      ...{ receipt, objects, openAccount },
    });
  }
  await using sealedDraft = await state.draft('sealed');
  const output = new ManifestOutput(sealedDraft);
  await output.write(sealed.sealing.manifest(draft.read()));
  const stored = output.stored();
  // without it, a run that was published in the moment of a kill could not be read by the next one
  const kept = { digest: receipt.manifestDigest, stored, isPending: true };
  await draft.keepAs(writer.run, { ...kept, sha256: manifest.sha256 });
  await sealed.remember();
  return await publish(writer, {
    manifest: () => sealedDraft.read(),
    manifestSizeBytes: stored.sizeBytes,
    receipt: { ...receipt, ...sealedFigures(objects, tally), ...digestsOf(stored) },
    isSealed: true,
    ...{ objects, openAccount },
  });
}

/** A receipt lies open: of a sealed run it says what the storage can count itself. */
function sealedFigures(
  { files, bytes }: ObjectCounts,
  tally: Tally,
): Pick<Receipt, 'files' | 'sourceBytes' | 'addedBytes'> {
  return { files, sourceBytes: bytes, addedBytes: tally.brought.sealedBytes };
}

/** The digest in the trailer is made of names and contents, and stays inside. */
function digestsOf({ sha256 }: StoredManifest): Pick<Receipt, 'manifestSha256' | 'manifestDigest'> {
  return { manifestSha256: sha256, manifestDigest: sha256 };
}

/** A connection that is cut just after the storage renamed the run must not make a second run of it. */
async function publish(
  writer: RunWriter,
  options: PublishOptions & Pick<PublishPorts, 'openAccount'>,
): Promise<Published | undefined> {
  try {
    return await writer.publish(options);
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'CONNECTION_LOST') throw error;
    await using again = await options.openAccount().catch(() => {
      throw error;
    });
    const there = (await again.listRuns()).find(
      ({ run, state }) => run === writer.run && state === 'complete',
    );
    const receipt = there && (await again.receipt(writer.run));
    // the digest covers the header, which names the run and its start
    if (receipt?.manifestDigest !== options.receipt.manifestDigest) throw error;
    const sizeBytes = there?.manifestSizeBytes;
    if (sizeBytes === undefined) return undefined;
    return {
      manifestSha256: receipt.manifestSha256,
      manifestSizeBytes: sizeBytes,
      frozen: again.side?.frozen,
    };
  }
}
