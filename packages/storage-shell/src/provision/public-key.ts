import { createHash } from 'node:crypto';
import { StorageError } from '../errors.ts';

/** An OpenSSH public key: `ssh-ed25519 AAAA…`, without a comment. */
export type PublicKey = string & { readonly __brand: 'PublicKey' };

/** What sshd takes today; DSA is gone, certificates are not keys. */
const TYPES: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]);
const MOST_KEY_BYTES = 16_384;

/** Whether a word of the command line is a key itself, and no file's name. */
export function looksLikeKey(text: string): boolean {
  return /^(ssh-|ecdsa-|sk-)\S+\s+AAAA/.test(text.trim());
}

/**
 * Reads the keys of a `.pub` file: one a line, comments and empty lines left out. Options are refused: they are ours to set.
 *
 * @param where - for the message
 * @throws StorageError USAGE
 */
export function parsePublicKeys(text: string, where: string): PublicKey[] {
  if (/-----BEGIN .*PRIVATE KEY-----/.test(text)) {
    throw new StorageError('USAGE', `${where} is a private key`, {
      hint: 'it belongs to the server alone: give the .pub file beside it',
    });
  }
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => parse(line, where));
  if (keys.length > 0) return [...new Set(keys)];
  throw new StorageError('USAGE', `${where} holds no public key`, { hint: 'give the .pub file of a key' });
}

/** `SHA256:…`, as `ssh-keygen -l` prints it. */
export function keyFingerprint(key: PublicKey): string {
  const blob = Buffer.from(key.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

function parse(line: string, where: string): PublicKey {
  const [type = '', data = ''] = line.split(/\s+/);
  const key = `${type} ${data}`;
  if (isPublicKey(key)) return key;
  throw new StorageError('USAGE', `${where} holds a line that is no public key`, {
    hint: `lines must be as ssh-keygen writes them, "ssh-ed25519 AAAA…", without options; taken are ${[...TYPES].join(', ')}`,
  });
}

/** The type is written twice, in the line and in the key; a line whose two differ was tampered with or cut. */
function isPublicKey(text: string): text is PublicKey {
  const [type = '', data = ''] = text.split(' ');
  if (!TYPES.has(type) || data.length > MOST_KEY_BYTES || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) return false;
  const blob = Buffer.from(data, 'base64');
  if (blob.toString('base64') !== data || blob.length < 4) return false;
  const fields: number[] = [];
  let offset = 0;
  while (offset + 4 <= blob.length) {
    const length = blob.readUInt32BE(offset);
    fields.push(length);
    offset += 4 + length;
  }
  return (
    offset === blob.length && fields.length >= 2 && blob.toString('latin1', 4, 4 + (fields[0] ?? 0)) === type
  );
}
