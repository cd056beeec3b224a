import { StorageError } from '../errors.ts';

/** Of an account: its Unix user, its folder and its key file have it. */
export type AccountName = string & { readonly __brand: 'AccountName' };

/** What every `useradd` takes, and what needs no quoting anywhere. */
const SHAPE = /^[a-z][a-z0-9_-]{0,30}$/;

/** @throws StorageError USAGE */
export function parseAccountName(text: string): AccountName {
  if (isAccountName(text)) return text;
  throw new StorageError('USAGE', `${JSON.stringify(text)} is no name for an account`, {
    hint: 'use a lower-case letter, then at most 30 of a-z, 0-9, - and _: it is a Unix user too',
  });
}

export function isAccountName(text: string): text is AccountName {
  return SHAPE.test(text);
}
