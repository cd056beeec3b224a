import { manifestName } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import { AgentError } from '../../errors.ts';
import { MissingFromStorage } from '../../ports/storage-account.ts';

/** Why a manifest could not be read from the storage: it is not there, or its disk does not give it. Other errors as they are. */
export function manifestUnread(error: unknown, { run, address }: { run: RunName; address: string }): unknown {
  const isMissing = error instanceof MissingFromStorage;
  if (!isMissing && !(error instanceof AgentError && error.code === 'STORAGE_REFUSED')) return error;
  const message = isMissing
    ? `the manifest ${manifestName(run)} is missing from ${address}`
    : `the manifest ${manifestName(run)} can't be read: ${error.message}`;
  return new AgentError('MANIFEST_DAMAGED', message, {
    hint: 'the run can be browsed as plain files, but owners and modes are lost; choose another run',
    cause: error,
  });
}
