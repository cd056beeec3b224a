import { receiptName } from '@bakker/impl-format/storage';
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
