import { decodeChecked, encodeChecked } from './checked-text.ts';
import { asPrivateKey, publicKeyOf } from './key-pair.ts';
import type { PrivateKey } from './key-pair.ts';
import { looksLikePaperKey, parsePaperKey } from './paper-key.ts';
import { looksProtected, openProtectedKey } from './protected-key.ts';
import { formatPublicKey } from './public-key-text.ts';
import { KeyTextError } from './sealed-error.ts';

const LABEL = 'bakker-private-key';
/** More than half of what is on paper. */
const LEAST_PAPER_CHARACTERS = 40;

/** The text of a key file that is of use to everybody who can read it. */
export function formatPrivateKey(key: PrivateKey): string {
  return (
    '# bakker private key. Whoever can read this can read every backup that is sealed to it.\n' +
    `# ${formatPublicKey(publicKeyOf(key))}\n` +
    `${encodeChecked(LABEL, key)}\n`
  );
}

/** Whether somebody wrote a private key where its file should be named: in one line, or as it is on paper. Says nothing of files. */
export function looksLikePrivateKey(word: string): boolean {
  // a name of a file may be made like a group or two
  const isTyped = word.trim().length >= LEAST_PAPER_CHARACTERS && looksLikePaperKey(word);
  return isTyped || word.trimStart().toLowerCase().startsWith(`${LABEL}:`);
}

/**
 * Reads a private key from any of its three forms: one line, protected, typed from paper.
 *
 * @param askPassphrase - asked only for a protected key; undefined is nobody there to answer
 * @throws KeyTextError
 */
export async function parsePrivateKey(
  written: string,
  askPassphrase: () => Promise<string | undefined>,
): Promise<PrivateKey> {
  // some editors begin a file with the mark of its byte order
  const text = written.replace(/^\ufeff/, '');
  if (looksProtected(text)) {
    const passphrase = await askPassphrase();
    if (passphrase === undefined) {
      throw new KeyTextError(
        'PASSPHRASE_MISSING',
        'the key is protected by a passphrase, and none was given',
      );
    }
    return openProtectedKey(text, passphrase);
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const [line] = lines;
  if (line?.startsWith(`${LABEL}:`) === true) return readLine(line, lines.length);
  const rest = lines.join(' ');
  if (looksLikePaperKey(rest)) return parsePaperKey(rest);
  if (rest.includes('bakker-public-key:')) {
    throw new KeyTextError('NOT_A_KEY', 'this is a public key; the private one is needed');
  }
  throw new KeyTextError('NOT_A_KEY', 'this is no private key of bakker');
}

function readLine(line: string, lineCount: number): PrivateKey {
  const bytes = lineCount === 1 ? decodeChecked(LABEL, line) : undefined;
  const key = bytes === undefined ? undefined : asPrivateKey(bytes);
  if (key !== undefined) return key;
  throw new KeyTextError(
    'DAMAGED',
    'the checksum of the private key is wrong: a character is missing or altered',
  );
}
