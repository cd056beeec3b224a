import { receiptName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import type { StoredRun } from '../../ports/account-keeper.ts';
import { parseStoredReceipt } from '../../retain/stored-receipt.ts';
import type { StoredReceipt } from '../../retain/stored-receipt.ts';
import { lookAt, manifestSizeBytes } from '../account/look.ts';
import { readSmallFile } from '../account/steps.ts';

/**
 * The complete runs of an account, oldest first.
 *
 * @param hurtManifests - runs whose manifest is known to be damaged
 * @throws errno errors
 */
export function storedRuns(account: FolderHandle, hurtManifests: ReadonlySet<string>): StoredRun[] {
  return lookAt(account).complete.flatMap((run) => {
    const stat = lstatSync(account.at(Buffer.from(run)), { throwIfNoEntry: false });
    if (stat === undefined) return []; // went meanwhile
    return {
      run,
      receipt: readReceipt(account, run),
      folderChangedAtMs: Math.floor(stat.ctimeMs),
      hasManifest: (manifestSizeBytes(account, run) ?? 0) > 0,
      isHurt: hurtManifests.has(run),
    };
  });
}

/** Undefined if there is none that can be understood. @throws errno errors */
export function readReceipt(account: FolderHandle, run: RunName): StoredReceipt | undefined {
  const text = readSmallFile(account, receiptName(run), MAX_RECEIPT_BYTES);
  return text && parseStoredReceipt(text.toString(), run);
}

const MAX_RECEIPT_BYTES = 1_048_576;
