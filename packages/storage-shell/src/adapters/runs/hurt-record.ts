import { unlinkAt } from '@bakker/linux';
import type { FolderHandle } from '@bakker/linux';
import type { HurtRecord } from '../../ports/stored-content.ts';
import { formatHurt, parseHurt } from '../../scrub/hurt-text.ts';
import { readSmallFile, replaceFile } from '../account/steps.ts';

/** What the last scrub found; undefined if nothing was hurt. @throws errno errors */
export function readHurt(account: FolderHandle): HurtRecord | undefined {
  const text = readSmallFile(account, `.bakker/${NAME}`, MAX_BYTES);
  return text && parseHurt(text.toString());
}

/** Removes the file where nothing is hurt. Under the lock of names. @param hidden - `.bakker` @throws errno errors */
export function writeHurt(hidden: FolderHandle, record: HurtRecord): void {
  const place = { folder: hidden, name: Buffer.from(NAME) };
  if (record.files.length === 0 && record.manifests.length === 0) unlinkAt(place);
  else replaceFile(hidden, place, Buffer.from(formatHurt(record)));
}

const NAME = 'hurt.json';
const MAX_BYTES = 64 * 1024 * 1024;
