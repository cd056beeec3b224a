import { StorageError } from '../errors.ts';
import { keyFingerprint, parsePublicKeys } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import type { Registry } from './registry.ts';

/** The host keys that sshd shows, as `ssh-keygen -l` prints them; ed25519 first. Empty if they can't be read. */
export async function hostKeyFingerprints({ system, places }: Registry): Promise<string[]> {
  const { status, stdout } = await system.try([places.sshdProgram, '-T', '-f', places.sshdConfig]);
  if (status !== 0) return [];
  const files = [...stdout.matchAll(/^hostkey (.+)$/gm)].map(([, file = '']) => file);
  const found: { isFirst: boolean; fingerprint: string }[] = [];
  for (const file of files) {
    const text = await system.readText(`${file}.pub`).catch(() => undefined);
    if (text === undefined) continue;
    for (const key of keysOf(text, `${file}.pub`))
      found.push({ isFirst: key.startsWith('ssh-ed25519 '), fingerprint: keyFingerprint(key) });
  }
  return found.sort((a, b) => Number(b.isFirst) - Number(a.isFirst)).map(({ fingerprint }) => fingerprint);
}

/** None of a kind that bakker does not take, as ssh-dss: servers are given another one. */
function keysOf(text: string, file: string): PublicKey[] {
  try {
    return parsePublicKeys(text, file);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'USAGE') return [];
    throw error;
  }
}
