import { PRIVATE_FOLDER } from '@bakker/impl-format/storage';
import type { FolderHandle } from '@bakker/linux';
import { lstatSync } from 'node:fs';
import { StorageError } from '../../errors.ts';
import { readSmallFile } from './steps.ts';

/** Below the account, and for messages. */
export const POLICY_FILE = `${PRIVATE_FOLDER}/account.yaml`;

/**
 * The text of the account's policy; undefined if there is none. What is there and can't be read is no policy that lets
 * everything pass: an account whose limit nobody can read is not served.
 *
 * @throws StorageError CONFIG_INVALID; errno errors
 */
export function readPolicyText(account: FolderHandle): string | undefined {
  const text = readSmallFile(account, POLICY_FILE, MAX_POLICY_BYTES);
  if (text !== undefined) return text.toString('utf8');
  if (lstatSync(account.at(Buffer.from(POLICY_FILE)), { throwIfNoEntry: false }) === undefined)
    return undefined;
  throw new StorageError('CONFIG_INVALID', `${POLICY_FILE} is no file, or too long`, {
    hint: 'put a file of at most 1 MiB there, no symlink; docs/retention.md describes it',
  });
}

const MAX_POLICY_BYTES = 1_048_576;
