import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import type { ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { asPrivateKey, publicKeyOf } from './key-pair.ts';
import type { PrivateKey } from './key-pair.ts';
import { formatPublicKey } from './public-key-text.ts';
import { KeyTextError } from './sealed-error.ts';

export const PROTECTED_TITLE = 'bakker private key, protected by a passphrase';
const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Half a second and 128 MiB for each guess. */
const COST = { n: 2 ** 17, r: 8, p: 1 };
/** A file that asks for more was not made by us, and would only use up this machine. */
const MOST_MEMORY_BYTES = 2 ** 30;
const MOST_PASSES = 16;
const FORM =
  /^(bakker private key, protected by a passphrase\npublic: \S+\nkdf: scrypt n=(\d{1,9}) r=(\d{1,3}) p=(\d{1,2})\nsalt: ([0-9a-f]{32})\nsealed: ([0-9a-f]{120})\n)check: ([0-9a-f]{16})\n?$/;

interface Cost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** The text of a key file that is of no use without the passphrase. */
export async function protectKey(key: PrivateKey, passphrase: string): Promise<string> {
  const salt = randomBytes(16);
  const nonce = randomBytes(NONCE_BYTES);
  const { n, r, p } = COST;
  const head =
    `${PROTECTED_TITLE}\npublic: ${formatPublicKey(publicKeyOf(key))}\n` +
    `kdf: scrypt n=${n} r=${r} p=${p}\nsalt: ${salt.toString('hex')}\n`;
  const cipher = createCipheriv(ALGORITHM, await stretch(passphrase, salt, COST), nonce);
  cipher.setAAD(Buffer.from(head));
  const sealed = Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  const text = `${head}sealed: ${sealed.toString('hex')}\n`;
  return `${text}check: ${checkOf(text)}\n`;
}

/** Whether a text is a protected key, damaged or not. */
export function looksProtected(text: string): boolean {
  return [PROTECTED_TITLE, '\nkdf: ', '\nsealed: '].some((part) => text.includes(part));
}

/** @throws KeyTextError DAMAGED or PASSPHRASE_WRONG: a checksum tells the one from the other */
export async function openProtectedKey(text: string, passphrase: string): Promise<PrivateKey> {
  const [, body, n, r, p, salt, sealedHex, check] = FORM.exec(text.replaceAll('\r\n', '\n')) ?? [];
  if (body === undefined || salt === undefined || sealedHex === undefined || check !== checkOf(body)) {
    throw new KeyTextError(
      'DAMAGED',
      'the checksum of the protected key is wrong: the file was altered or cut',
    );
  }
  const cost = { n: Number(n), r: Number(r), p: Number(p) };
  if (128 * cost.n * cost.r > MOST_MEMORY_BYTES || cost.p > MOST_PASSES) {
    throw new KeyTextError(
      'DAMAGED',
      'the protected key asks for more memory or time than any that bakker makes',
    );
  }
  const sealed = Buffer.from(sealedHex, 'hex');
  const stretched = await stretch(passphrase, Buffer.from(salt, 'hex'), cost);
  const decipher = createDecipheriv(ALGORITHM, stretched, sealed.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(body.slice(0, body.indexOf('sealed: '))));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    throw new KeyTextError('PASSPHRASE_WRONG', 'the passphrase is not the one that the key is protected by');
  }
  const key = asPrivateKey(plain);
  if (key === undefined) throw new KeyTextError('DAMAGED', 'the protected key has a wrong length');
  return key;
}

/** Off this thread. Passphrases are compared in one Unicode form, however a keyboard composes. */
async function stretch(passphrase: string, salt: Buffer, { n, r, p }: Cost): Promise<Buffer> {
  // Node.js takes 0 for its own choice
  if (n < 2 || r < 1 || p < 1) throw impossible();
  const options = { N: n, r, p, maxmem: MOST_MEMORY_BYTES + 2 ** 26 };
  try {
    return await scryptLater(passphrase.normalize('NFC'), salt, 32, options);
  } catch (error) {
    if (error instanceof RangeError) throw impossible();
    throw error;
  }
}

const scryptLater = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

function impossible(): KeyTextError {
  return new KeyTextError('DAMAGED', 'the protected key names costs that scrypt does not have');
}

function checkOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
