import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeBase32 } from './base32.ts';

export const NAME_KEY_BYTES = 32;
export const DIRECTORY_ID_BYTES = 16;
/** Names on the storage have 26 characters. */
const HIDDEN_BYTES = 16;
const LABEL = Buffer.from('bakker name 1\0');

/** The id of `/`; other directories have random ones, kept in the manifest and when they are moved. */
export const ROOT_DIRECTORY_ID = Buffer.alloc(DIRECTORY_ID_BYTES);

/** Drawn once for an account; in every sealed manifest, and in the clear on the server alone. */
export function newNameKey(): Buffer {
  return randomBytes(NAME_KEY_BYTES);
}

export function newDirectoryId(): Buffer {
  return randomBytes(DIRECTORY_ID_BYTES);
}

/** Gives names the form that they have on the storage. */
export class NameHider {
  readonly #key: KeyObject;

  constructor(nameKey: Buffer) {
    if (nameKey.length !== NAME_KEY_BYTES) throw new Error(`a name key has ${NAME_KEY_BYTES} bytes`);
    this.#key = createSecretKey(nameKey);
  }

  /**
   * 26 characters of a to z and 2 to 7, the same for the same name in the same directory.
   *
   * @param directoryId - of the directory that the name is in
   * @param name - one component of a path
   */
  hide(directoryId: Buffer, name: Buffer): string {
    if (directoryId.length !== DIRECTORY_ID_BYTES) throw new Error('a directory id has 16 bytes');
    const digest = createHmac('sha256', this.#key).update(LABEL).update(directoryId).update(name).digest();
    return encodeBase32(digest.subarray(0, HIDDEN_BYTES));
  }
}
