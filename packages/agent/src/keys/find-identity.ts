import { formatKeyId, isPaperKeyBegun, parsePrivateKey, publicKeyOf } from '@bakker/impl-format/sealed';
import type { PrivateKey } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import { explainKeyText } from './explain-key.ts';
import { readCredential } from './key-at-hand.ts';
import { passphraseIn } from './passphrase-text.ts';
import { refuseKeyWord } from './refuse-key-word.ts';

/** A private key, and where it came from. */
export interface Identity {
  readonly privateKey: PrivateKey;
  /** 16 hexadecimal digits, as in sealed files. */
  readonly id: string;
  /** For messages. */
  readonly source: string;
}

export interface IdentityOptions {
  /** What `--identity-key` says. */
  readonly file: string | undefined;
  /** A key that this server keeps for itself, looked for last; undefined if it has none. */
  readonly keptFile?: string | undefined;
}

const A_FILE = 'the name of its file';

interface Found {
  readonly text: string;
  readonly source: string;
}

/**
 * The private key that opens what was sealed. The first of these that is there: `--identity-key`, BAKKER_IDENTITY_KEY (the
 * key itself), BAKKER_IDENTITY_KEY_FILE, `bakker-identity-key` among systemd's credentials, the key that the server keeps,
 * a person at the terminal. A passphrase: BAKKER_PASSPHRASE, the credential `bakker-passphrase`, the terminal.
 *
 * @throws AgentError KEY_MISSING, KEY_DAMAGED or PASSPHRASE_WRONG; USAGE if a key stands where its file should be named
 */
export async function findIdentity(
  options: IdentityOptions,
  { keys, warn }: { keys: KeyFiles; warn: (text: string) => void },
): Promise<Identity> {
  const { text, source } = await findText(options, { keys, warn });
  try {
    const privateKey = await parsePrivateKey(text, () => findPassphrase(keys, source));
    return { privateKey, id: formatKeyId(publicKeyOf(privateKey)), source };
  } catch (error) {
    throw explainKeyText(error, source);
  }
}

async function findText(
  { file, keptFile }: IdentityOptions,
  { keys, warn }: { keys: KeyFiles; warn: (text: string) => void },
): Promise<Found> {
  if (file !== undefined) {
    refuseKeyWord(file, { place: '--identity-key', wanted: A_FILE });
    return readNamed(file, { keys, warn });
  }
  const text = keys.environment('BAKKER_IDENTITY_KEY');
  if (text !== undefined) return { text, source: 'BAKKER_IDENTITY_KEY' };
  const named = keys.environment('BAKKER_IDENTITY_KEY_FILE');
  if (named !== undefined) {
    refuseKeyWord(named, { place: 'BAKKER_IDENTITY_KEY_FILE', wanted: A_FILE });
    return readNamed(named, { keys, warn });
  }
  const credential = await readCredential(keys, 'bakker-identity-key');
  if (credential !== undefined) return { text: credential, source: 'the credential bakker-identity-key' };
  if (keptFile !== undefined && (await keys.read(keptFile)) !== undefined) {
    return readNamed(keptFile, { keys, warn });
  }
  const typed = await keys.askSecret(
    'Private key (its line, or the nine groups from paper; it is not shown): ',
    isPaperKeyBegun,
  );
  if (typed !== undefined && typed.trim() !== '') return { text: typed, source: 'the key that was typed' };
  throw new AgentError('KEY_MISSING', 'a private key is needed to open what is sealed, and none was given', {
    hint: 'name its file with --identity-key FILE or BAKKER_IDENTITY_KEY_FILE, or type it at a terminal',
  });
}

async function readNamed(
  file: string,
  { keys, warn }: { keys: KeyFiles; warn: (text: string) => void },
): Promise<Found> {
  const found = await keys.read(file);
  if (found === undefined) {
    throw new AgentError('KEY_MISSING', `there is no key file ${file}`, {
      hint: 'name the file that bakker key generate wrote, or type the key from paper',
    });
  }
  if (found.isExposed) warn(`${file} can be read by others than its owner: chmod 600 ${file}`);
  return { text: found.text, source: file };
}

async function findPassphrase(keys: KeyFiles, source: string): Promise<string | undefined> {
  const given = keys.environment('BAKKER_PASSPHRASE') ?? (await readCredential(keys, 'bakker-passphrase'));
  return given === undefined ? keys.askSecret(`Passphrase of ${source}: `) : passphraseIn(given);
}
