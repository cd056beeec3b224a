import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SealedError } from './sealed-error.ts';

export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
const ALGORITHM = 'aes-256-gcm';
const TAG_OPTION = { authTagLength: TAG_BYTES };

/** What a chunk is sealed with. `aad`: what it is bound to. A pair of key and nonce must never come twice. */
export interface ChunkSeal {
  readonly key: KeyObject;
  readonly nonce: Buffer;
  readonly aad: Buffer;
}

/** Writes ciphertext and tag of `plain` into `out` from `at` on; returns where they end. */
export function sealInto(out: Buffer, at: number, plain: Uint8Array, { key, nonce, aad }: ChunkSeal): number {
  const cipher = createCipheriv(ALGORITHM, key, nonce, TAG_OPTION);
  cipher.setAAD(aad);
  const end = at + cipher.update(plain).copy(out, at);
  cipher.final();
  return end + cipher.getAuthTag().copy(out, end);
}

/**
 * The plaintext of `sealed`, ciphertext and tag. Nothing of it leaves before the tag is true.
 *
 * @throws SealedError DAMAGED
 */
export function openSealedChunk(sealed: Buffer, { key, nonce, aad }: ChunkSeal): Buffer {
  const end = sealed.length - TAG_BYTES;
  if (end < 0) throw new SealedError('TRUNCATED', 'a chunk ends early');
  const decipher = createDecipheriv(ALGORITHM, key, nonce, TAG_OPTION);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch (cause) {
    plain.fill(0);
    throw new SealedError('DAMAGED', 'a chunk is not what was sealed in its place', { cause });
  }
  return plain;
}
