import {
  manifestName,
  ManifestError,
  readManifest,
  type Entry,
  type ManifestReader,
  type RunName,
} from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { StorageAccount } from '../ports/storage-account.ts';

/**
 * Starts to read the manifest of a run.
 *
 * @returns a reader whose `batches` throw AgentError MANIFEST_DAMAGED where the bytes are not to be trusted
 * @throws AgentError MANIFEST_DAMAGED
 */
export async function openManifest(account: StorageAccount, run: RunName): Promise<ManifestReader> {
  const reader = await readManifest(account.manifest(run), { source: manifestName(run) }).catch(
    (error: unknown) => {
      throw manifestFailure(error, run);
    },
  );
  if (reader.header.run !== run) {
    await reader[Symbol.asyncDispose]();
    throw new AgentError('MANIFEST_DAMAGED', `${manifestName(run)} is the manifest of ${reader.header.run}`, {
      hint: HINT,
    });
  }
  return {
    header: reader.header,
    get trailer() {
      return reader.trailer;
    },
    batches: () => translated(reader, run),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  };
}

/** A manifest that can't be trusted as an AgentError; any other error as it is. */
export function manifestFailure(error: unknown, run: RunName): unknown {
  if (!(error instanceof ManifestError)) return error;
  return new AgentError('MANIFEST_DAMAGED', `the manifest of ${run} is damaged: ${error.message}`, {
    hint: HINT,
    cause: error,
  });
}

const HINT =
  'the files of the run can still be copied from the storage by hand; other runs are not affected: bakker list';

async function* translated(reader: ManifestReader, run: RunName): AsyncGenerator<readonly Entry[]> {
  try {
    yield* reader.batches();
  } catch (error) {
    throw manifestFailure(error, run);
  }
}
