import { parsePublicKey } from '@bakker/impl-format/sealed';
import type { PublicKey } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import { explainKeyText } from './explain-key.ts';
import {
  addRecipient,
  chooseRecipient,
  parseRecipients,
  removeRecipient,
  rotateRecipient,
} from './recipients.ts';
import type { Recipient } from './recipients.ts';
import { refuseKeyWord } from './refuse-key-word.ts';

const A_PUBLIC_KEY = 'a public key, or the name of a file with one';

/** Whom this server seals to; none if there is no file. @throws AgentError KEY_DAMAGED, KEY_MISSING if unreadable */
export async function loadRecipients(file: string, keys: KeyFiles): Promise<Recipient[]> {
  return parseRecipients((await keys.read(file))?.text ?? '', file);
}

/** As `loadRecipients`, where there has to be one. @throws AgentError KEY_MISSING if there is nobody to seal to, KEY_DAMAGED */
export async function needRecipients(file: string, keys: KeyFiles): Promise<Recipient[]> {
  const recipients = await loadRecipients(file, keys);
  if (recipients.length > 0) return recipients;
  throw new AgentError(
    'KEY_MISSING',
    `there is no key in ${file} to seal to, and the configuration says encrypt`,
    {
      hint: 'bakker key generate makes one, bakker key add names it to this server',
    },
  );
}

/** Adds a key. @param word - the key, or a file that holds it */
export async function addKey(
  file: string,
  { word, name }: { word: string; name: string },
  keys: KeyFiles,
): Promise<Recipient[]> {
  const publicKey = await readPublicKey(word, keys);
  const wanted = checkName(name);
  return change(file, keys, (text) => {
    const known = parseRecipients(text, file).find((recipient) => recipient.publicKey.equals(publicKey));
    if (known !== undefined && wanted !== '' && wanted !== known.name) {
      const called = known.name === '' ? 'has no name' : `is called ${known.name}`;
      throw new AgentError('USAGE', `the key ${known.id} is there already, and ${called}`, {
        hint: `its name is behind it in ${file}, and may be changed there`,
      });
    }
    return addRecipient(text, file, { publicKey, name: wanted });
  });
}

/**
 * Adds several, or none: if `confirm` throws, which is asked what the file would name then.
 *
 * @returns what `confirm` does
 */
export async function addKeys<Confirmed>(
  file: string,
  words: readonly string[],
  { keys, confirm }: { keys: KeyFiles; confirm: (recipients: Recipient[]) => Promise<Confirmed> },
): Promise<Confirmed> {
  const before = (await keys.read(file))?.text ?? '';
  let text = before;
  for (const word of words)
    text = addRecipient(text, file, { publicKey: await readPublicKey(word, keys), name: '' });
  const confirmed = await confirm(parseRecipients(text, file));
  if (text !== before) await keys.replace(file, text);
  return confirmed;
}

export async function removeKey(file: string, word: string, keys: KeyFiles): Promise<Recipient[]> {
  return change(file, keys, (text) =>
    removeRecipient(text, file, chooseRecipient(parseRecipients(text, file), word)),
  );
}

/** Puts another key in the place of one; without a name of its own it gets the old one's. */
export async function rotateKey(
  file: string,
  { oldWord, newWord, name }: { oldWord: string; newWord: string; name: string },
  keys: KeyFiles,
): Promise<Recipient[]> {
  const publicKey = await readPublicKey(newWord, keys);
  return change(file, keys, (text) => {
    const recipients = parseRecipients(text, file);
    const old = chooseRecipient(recipients, oldWord);
    if (recipients.some((recipient) => recipient.publicKey.equals(publicKey))) {
      throw new AgentError('USAGE', 'the new key is there already', {
        hint: 'bakker key remove takes the old one out',
      });
    }
    return rotateRecipient(text, {
      old,
      added: { publicKey, name: name === '' ? old.name : checkName(name) },
    });
  });
}

async function change(file: string, keys: KeyFiles, edit: (text: string) => string): Promise<Recipient[]> {
  const text = (await keys.read(file))?.text ?? '';
  const edited = edit(text);
  if (edited !== text) await keys.replace(file, edited);
  return parseRecipients(edited, file);
}

/** A file with a private key does as well: its public key is written in it. */
async function readPublicKey(word: string, keys: KeyFiles): Promise<PublicKey> {
  refuseKeyWord(word, { place: 'the key', wanted: A_PUBLIC_KEY });
  const isKey = word.startsWith('bakker-public-key:');
  const text = isKey ? word : (await keys.read(word))?.text;
  if (text === undefined) {
    throw new AgentError('KEY_MISSING', `${word} is neither a public key nor a file`, {
      hint: 'a public key begins with bakker-public-key:',
    });
  }
  const found = new Set(text.match(/bakker-public-key:\S*/g));
  if (found.size > 1) {
    // who names the recipients of another server must not believe that all of them were taken
    throw new AgentError('USAGE', `${word} holds ${found.size} public keys, and one is taken at a time`, {
      hint: 'give each of them by itself',
    });
  }
  const [only = text] = found;
  try {
    return parsePublicKey(only);
  } catch (error) {
    throw explainKeyText(error, isKey ? 'the public key' : word);
  }
}

function checkName(name: string): string {
  if (/^[^\x00-\x1f\x7f#]{0,100}$/.test(name)) return name.trim();
  throw new AgentError('USAGE', 'the name of a key has at most 100 characters, on one line and without #', {
    hint: 'give a short name with --name',
  });
}
