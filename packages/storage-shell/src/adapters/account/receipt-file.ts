import { isCount, receiptName } from '@bakker/impl-format/storage';
import type { RunName } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import { parseObject } from '../../retain/stored-receipt.ts';
import { readSmallFile } from './steps.ts';

const MAX_BYTES = 64 * 1024;

/** The members of a run's receipt, unchecked; undefined if there is none, or it is another run's. @throws errno errors */
export function readReceipt(account: FolderHandle, run: RunName): Record<string, unknown> | undefined {
  const text = readSmallFile(account, receiptName(run), MAX_BYTES);
  const receipt = text && parseObject(text.toString('utf8'));
  return receipt?.['run'] === run ? receipt : undefined;
}

/** What of a run this program counted when it was published; undefined if it was counted by nobody here. */
export function countedObjects(
  account: FolderHandle,
  run: RunName,
): { readonly files: number; readonly bytes: number } | undefined {
  const receipt = readReceipt(account, run);
  const { objects } = receipt ?? {};
  // Only this program says when it received a run: what an agent wrote over plain SFTP was counted by nobody here.
  if (typeof receipt?.['receivedAtMs'] !== 'number') return undefined;
  if (typeof objects !== 'object' || objects === null || !('bytes' in objects && 'files' in objects))
    return undefined;
  const { files, bytes } = objects;
  return isCount(files) && isCount(bytes) ? { files, bytes } : undefined;
}
