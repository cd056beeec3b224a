import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

const ONE = Buffer.of(1);
/** Keep the keys of packed contents, manifests and strided files apart, and from all that is derived from them. */
export const PACKED_LABEL = Buffer.from('bakker packed 1\0');
export const MANIFEST_LABEL = Buffer.from('bakker manifest 1\0');
export const STRIDED_LABEL = Buffer.from('bakker strided 1\0');
export const CHUNK_LABEL = Buffer.from('bakker chunk 1\0');
export const HEADER_LABEL = Buffer.from('bakker header 1\0');

/**
 * HKDF-Expand (RFC 5869) with SHA-256, one block. All keys here are uniformly random already, so there is no Extract.
 * Keys are `KeyObject`s throughout: handing Node.js raw bytes costs 10 µs more at each call.
 */
export function deriveKey(key: KeyObject, label: Buffer, context: Buffer): KeyObject {
  const input = Buffer.concat([label, context, ONE]);
  return createSecretKey(createHmac('sha256', key).update(input).digest());
}
