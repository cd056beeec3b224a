import { decodeChecked, encodeChecked } from './checked-text.ts';
import { asPublicKey, recipientId } from './key-pair.ts';
import type { PublicKey } from './key-pair.ts';
import { KeyTextError } from './sealed-error.ts';

const LABEL = 'bakker-public-key';

/** One word to copy: `bakker-public-key:…`, with a checksum. */
export function formatPublicKey(key: PublicKey): string {
  return encodeChecked(LABEL, key);
}

/** Short name for people, as in the header of sealed files: 16 hexadecimal digits. */
export function formatKeyId(key: PublicKey): string {
  return recipientId(key).toString('hex');
}

/** @throws KeyTextError NOT_A_KEY or DAMAGED */
export function parsePublicKey(text: string): PublicKey {
  const word = text.trim();
  if (!word.startsWith(`${LABEL}:`)) {
    throw new KeyTextError('NOT_A_KEY', `a public key begins with ${LABEL}:`);
  }
  const bytes = decodeChecked(LABEL, word);
  const key = bytes === undefined ? undefined : asPublicKey(bytes);
  if (key === undefined) {
    throw new KeyTextError(
      'DAMAGED',
      'the checksum of the public key is wrong: a character is missing or mistyped',
    );
  }
  return key;
}
