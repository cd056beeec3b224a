import { createHash, randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';

/** Bytes of an X25519 key, private or public. */
export const KEY_BYTES = 32;
export const RECIPIENT_ID_BYTES = 8;

/** A checked X25519 public key: what is sealed to it can be read only with its private key. */
export type PublicKey = Buffer & { readonly __brand: 'PublicKey' };
/** An X25519 private key. */
export type PrivateKey = Buffer & { readonly __brand: 'PrivateKey' };

export function generatePrivateKey(): PrivateKey {
  return randomBytes(KEY_BYTES) as PrivateKey;
}

/** @returns undefined if `bytes` has another length */
export function asPrivateKey(bytes: Uint8Array): PrivateKey | undefined {
  return bytes.length === KEY_BYTES ? (Buffer.from(bytes) as PrivateKey) : undefined;
}

/**
 * @returns undefined for another length, and for the points of small order: with those the shared secret is known to
 * everybody, and so would be what is sealed
 */
export function asPublicKey(bytes: Uint8Array): PublicKey | undefined {
  if (bytes.length !== KEY_BYTES) return undefined;
  const shared = nacl.scalarMult(generatePrivateKey(), bytes);
  return shared.every((byte) => byte === 0) ? undefined : (Buffer.from(bytes) as PublicKey);
}

export function publicKeyOf(privateKey: PrivateKey): PublicKey {
  return Buffer.from(nacl.scalarMult.base(privateKey)) as PublicKey;
}

/** Short name of a key, in every sealed file: tells whose it is, and nothing of the key itself. */
export function recipientId(publicKey: PublicKey): Buffer {
  return createHash('sha256')
    .update('bakker recipient 1\0')
    .update(publicKey)
    .digest()
    .subarray(0, RECIPIENT_ID_BYTES);
}
