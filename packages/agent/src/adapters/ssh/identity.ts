import { readFile } from 'node:fs/promises';
import { hasCode } from '@bakker/linux';
import ssh2, { type ParsedKey } from 'ssh2';
import { AgentError } from '../../errors.ts';

/** A private key, read and parsed, and the public half as `ssh-ed25519 AAAA…`. */
export interface Identity {
  readonly file: string;
  readonly key: ParsedKey;
  readonly publicKey: string;
}

/**
 * Reads a private key file (OpenSSH or PEM; ed25519, RSA, ECDSA).
 *
 * @throws AgentError AUTHENTICATION_FAILED if it is missing, encrypted or no private key
 */
export async function readIdentity(file: string): Promise<Identity> {
  const parsed = ssh2.utils.parseKey(await readKeyFile(file));
  if (parsed instanceof Error) throw unusableKey(file, parsed);
  // ssh2 gives an array for files of several keys.
  const key = Array.isArray(parsed) ? (parsed as ParsedKey[])[0] : parsed;
  if (key === undefined || !key.isPrivateKey()) {
    throw new AgentError('AUTHENTICATION_FAILED', `${file} holds no private key`, {
      hint: 'name the private key file, not the .pub one',
    });
  }
  return { file, key, publicKey: publicKeyText(key) };
}

/** `ssh-ed25519 AAAA…`, without a comment. */
export function publicKeyText(key: ParsedKey): string {
  return `${key.type} ${key.getPublicSSH().toString('base64')}`;
}

async function readKeyFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const isMissing = hasCode(cause, 'ENOENT');
    const reason = isMissing ? 'is not there' : "can't be read";
    throw new AgentError('AUTHENTICATION_FAILED', `the key file ${file} ${reason}`, {
      hint: isMissing
        ? 'bring it back, run `bakker init ACCOUNT` to make a key, or correct `identity:`'
        : 'run as its owner, or as root',
      cause,
    });
  }
}

function unusableKey(file: string, cause: Error): AgentError {
  if (/encrypted/i.test(cause.message)) {
    return new AgentError('AUTHENTICATION_FAILED', `the key ${file} is protected by a passphrase`, {
      hint: 'use a key without one, or `transport: openssh` with an ssh-agent that holds it',
      cause,
    });
  }
  return new AgentError('AUTHENTICATION_FAILED', `${file} is no key that can be used: ${cause.message}`, {
    hint: 'use an ed25519, RSA or ECDSA key in OpenSSH format',
    cause,
  });
}
