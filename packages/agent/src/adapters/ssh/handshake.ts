import { createHash } from 'node:crypto';
import type { Algorithms, ServerHostKeyAlgorithm } from 'ssh2';

/** Families of host keys, the preferred first; `init` pins the first that the storage has. */
const HOST_KEY_FAMILIES: readonly (readonly ServerHostKeyAlgorithm[])[] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
];

/** What to offer so that a key of none of the types in `seen` is shown; empty when nothing is left. */
export function hostKeyAlgorithms(seen: readonly string[] = []): ServerHostKeyAlgorithm[] {
  const left = HOST_KEY_FAMILIES.filter((family) => !seen.some((type) => familyOf(type) === family));
  return left.flat();
}

/** ssh2's `algorithms`: AES-GCM first, because it runs at twice the speed of what ssh would pick. */
export function algorithms(options: {
  compress: boolean;
  serverHostKey: readonly ServerHostKeyAlgorithm[];
}): Algorithms {
  return {
    cipher: [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      'chacha20-poly1305@openssh.com',
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
    ],
    compress: options.compress ? ['zlib@openssh.com', 'none'] : ['none'],
    serverHostKey: [...options.serverHostKey],
  };
}

/** `SHA256:…` as ssh-keygen prints it. */
export function fingerprintOf(hostKey: Buffer): string {
  return `SHA256:${createHash('sha256').update(hostKey).digest('base64').replace(/=+$/, '')}`;
}

/** The type's name, with which the key's own bytes start. */
export function hostKeyType(hostKey: Buffer): string {
  return hostKey.subarray(4, 4 + hostKey.readUInt32BE(0)).toString('latin1');
}

function familyOf(type: string): readonly ServerHostKeyAlgorithm[] | undefined {
  const name = type === 'ssh-rsa' ? 'rsa-sha2-512' : type;
  return HOST_KEY_FAMILIES.find((family) => family.some((algorithm) => algorithm === name));
}
