import { Keyring } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import { needRecipients } from '../keys/change-recipients.ts';
import { findIdentity } from '../keys/find-identity.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { SealingThreads } from '../ports/sealing-threads.ts';
import { beginSealedRun } from './begin-sealed-run.ts';
import type { Encryption } from './encryption.ts';
import { openManifestBytes } from './open-manifest-bytes.ts';

export interface EncryptionOptions {
  readonly hidesNames: boolean;
  readonly recipientsFile: string;
  /** What `--identity-key` says. */
  readonly identityFile: string | undefined;
  /** A key that this server keeps for itself. */
  readonly keptFile: string;
}

/** @throws AgentError KEY_MISSING if there is nobody to seal to, KEY_DAMAGED */
export async function prepareEncryption(
  { hidesNames, recipientsFile, identityFile, keptFile }: EncryptionOptions,
  { keys, threads, warn }: { keys: KeyFiles; threads: SealingThreads; warn: (text: string) => void },
): Promise<Encryption> {
  const recipients = await needRecipients(recipientsFile, keys);
  const publicKeys = recipients.map(({ publicKey }) => publicKey);
  return {
    recipients: recipients.map(({ id }) => id).sort(),
    begin: (run) => beginSealedRun({ recipients: publicKeys, hidesNames, threads }, run),
    opener: async () => {
      // a backup asks nobody
      const silent = { ...keys, askSecret: async () => undefined };
      try {
        const { privateKey } = await findIdentity({ file: identityFile, keptFile }, { keys: silent, warn });
        const keyring = new Keyring([privateKey]);
        return (sealed) => openManifestBytes(sealed, { keyring, what: "the parent's manifest" });
      } catch (error) {
        if (error instanceof AgentError && error.code === 'KEY_MISSING' && identityFile === undefined)
          return undefined;
        throw error;
      }
    },
  };
}
