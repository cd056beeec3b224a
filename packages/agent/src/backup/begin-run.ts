import type { RunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import { ParentChanged } from '../ports/storage-account.ts';
import type { RunWriter, StorageAccount } from '../ports/storage-account.ts';
import type { Parent } from './choose-parent.ts';

/** The parent's manifest on the storage is not the one that the run was compared with. */
export class ParentDamaged extends Error {
  override readonly name = 'ParentDamaged';
  readonly run: RunName;

  constructor(run: RunName, cause: unknown) {
    super(`run ${run} is damaged`, { cause });
    this.run = run;
  }
}

/** Begins a run in the account, beside the parent that it was chosen with. @throws ParentDamaged */
export async function beginRun(
  account: StorageAccount,
  nowMs: number,
  parent: Parent | undefined,
): Promise<RunWriter> {
  let writer: RunWriter;
  try {
    writer = await account.begin({ nowMs, parent: parent?.run });
  } catch (error) {
    if (parent && error instanceof ParentChanged) throw new ParentDamaged(parent.run, error);
    throw error;
  }
  const found = writer.parent?.manifestSha256;
  if (!parent || found === undefined || found === parent.storedSha256) return writer;
  await writer[Symbol.asyncDispose]();
  throw new ParentDamaged(parent.run, new Error('its manifest on the storage is not what was written there'));
}

/** Waits for what the parent's stored manifest turns out to be. @throws ParentDamaged */
export async function verifyParent(parent: Parent | undefined): Promise<void> {
  try {
    await parent?.verified;
  } catch (error) {
    if (parent && error instanceof AgentError && error.code === 'MANIFEST_DAMAGED')
      throw new ParentDamaged(parent.run, error);
    throw error;
  }
}
