import {
  formatKeyId,
  formatPaperKey,
  formatPrivateKey,
  formatPublicKey,
  generatePrivateKey,
  protectKey,
  publicKeyOf,
} from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import { isTypeable, passphraseIn } from './passphrase-text.ts';

export interface KeyRequest {
  /** Where the private key goes; undefined for paper only. */
  readonly file: string | undefined;
  readonly passphrase: 'none' | 'ask' | { readonly file: string };
  readonly onPaper: boolean;
}

export interface MadeKey {
  readonly publicKey: string;
  readonly id: string;
  readonly file: string | undefined;
  readonly isProtected: boolean;
  /** Three lines; undefined if paper was not asked for. */
  readonly paper: string | undefined;
}

/**
 * Makes a key pair. The private key leaves here in the file and on the paper alone.
 *
 * @throws AgentError USAGE if the file exists, or nobody could type the passphrase; PASSPHRASE_WRONG if the two that were typed differ
 */
export async function makeKey(request: KeyRequest, keys: KeyFiles): Promise<MadeKey> {
  const { file, onPaper } = request;
  if (file === undefined && !onPaper) {
    throw new AgentError('USAGE', 'key generate: nothing would hold the private key', {
      hint: 'name a file with --out FILE, or have it printed with --paper',
    });
  }
  if (file === undefined && request.passphrase !== 'none') {
    throw new AgentError(
      'USAGE',
      'key generate: what is printed for paper is not protected by a passphrase',
      {
        hint: 'name a file for the protected key with --out FILE, or leave the passphrase out',
      },
    );
  }
  const passphrase = await choosePassphrase(request.passphrase, keys);
  if (passphrase !== undefined && !isTypeable(passphrase)) {
    throw new AgentError('USAGE', 'the passphrase has more than one line, or what no keyboard types', {
      hint: 'give one line of UTF-8, without control characters: some day it may have to be typed',
    });
  }
  const privateKey = generatePrivateKey();
  const publicKey = publicKeyOf(privateKey);
  if (file !== undefined) {
    const isProtected = passphrase !== undefined;
    await keys.create(
      file,
      isProtected ? await protectKey(privateKey, passphrase) : formatPrivateKey(privateKey),
    );
  }
  return {
    publicKey: formatPublicKey(publicKey),
    id: formatKeyId(publicKey),
    file,
    isProtected: file !== undefined && passphrase !== undefined,
    paper: onPaper ? formatPaperKey(privateKey) : undefined,
  };
}

async function choosePassphrase(
  passphrase: KeyRequest['passphrase'],
  keys: KeyFiles,
): Promise<string | undefined> {
  if (passphrase === 'none') return undefined;
  if (passphrase === 'ask') return askTwice(keys);
  const found = await keys.read(passphrase.file);
  if (found === undefined) {
    throw new AgentError('KEY_MISSING', `there is no passphrase file ${passphrase.file}`, {
      hint: 'write the passphrase into it, on one line',
    });
  }
  const text = passphraseIn(found.text);
  if (text !== '') return text;
  throw new AgentError('KEY_MISSING', `there is no passphrase in ${passphrase.file}`, {
    hint: 'write it into that file, on one line',
  });
}

async function askTwice(keys: KeyFiles): Promise<string> {
  const given = keys.environment('BAKKER_PASSPHRASE');
  const first = given === undefined ? await keys.askSecret('New passphrase: ') : passphraseIn(given);
  if (first === undefined || first === '') {
    throw new AgentError('KEY_MISSING', 'a passphrase is needed, and none was given', {
      hint: 'type it at a terminal, or name a file that holds it with --passphrase-file FILE',
    });
  }
  if (given !== undefined) return first;
  if ((await keys.askSecret('The same again: ')) === first) return first;
  throw new AgentError('PASSPHRASE_WRONG', 'the two passphrases are not the same: no key was made', {
    hint: 'try again',
  });
}
