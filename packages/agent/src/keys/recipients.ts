import {
  formatKeyId,
  formatPublicKey,
  KeyTextError,
  MAX_RECIPIENTS,
  parsePublicKey,
} from '@bakker/impl-format/sealed';
import type { PublicKey } from '@bakker/impl-format/sealed';
import { AgentError } from '../errors.ts';
import { refuseKeyWord } from './refuse-key-word.ts';

/** Somebody who can open what this server seals. */
export interface Recipient {
  readonly publicKey: PublicKey;
  /** `bakker-public-key:…` */
  readonly text: string;
  /** 16 hexadecimal digits, as in sealed files. */
  readonly id: string;
  /** What people call the key; may be empty. */
  readonly name: string;
}

/** A file of recipients: a key and a name a line; empty lines and comments (`#`) stay as they are. */
const HEADING = `# Whom this server's backups are sealed to: a public key a line, and a name for people.
# New runs are sealed to all of these. bakker key add and bakker key remove change it.
`;

/**
 * Reads a file of recipients.
 *
 * @param file - its name, for messages
 * @throws AgentError KEY_DAMAGED naming the line
 */
export function parseRecipients(text: string, file: string): Recipient[] {
  const recipients: Recipient[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (!isKeyLine(line)) continue;
    const where = `${file}, line ${index + 1}`;
    const recipient = readLine(line, where);
    if (recipients.some(({ id }) => id === recipient.id)) {
      throw new AgentError('KEY_DAMAGED', `${where}: the key ${recipient.id} is there twice`, {
        hint: 'take one of the two lines out',
      });
    }
    recipients.push(recipient);
  }
  if (recipients.length <= MAX_RECIPIENTS) return recipients;
  throw new AgentError(
    'KEY_DAMAGED',
    `${file} has ${recipients.length} keys, and ${MAX_RECIPIENTS} is the most`,
  );
}

/** The text with one more recipient, or as it is if the key is there. @throws as `parseRecipients`, USAGE if full */
export function addRecipient(
  text: string,
  file: string,
  added: { publicKey: PublicKey; name: string },
): string {
  const recipients = parseRecipients(text, file);
  const id = formatKeyId(added.publicKey);
  if (recipients.some((recipient) => recipient.id === id)) return text;
  if (recipients.length === MAX_RECIPIENTS) {
    throw new AgentError('USAGE', `${file} has ${MAX_RECIPIENTS} keys, which is the most`, {
      hint: 'bakker key remove takes one out',
    });
  }
  const before = text === '' ? HEADING : text.endsWith('\n') ? text : `${text}\n`;
  return `${before}${lineOf(added)}\n`;
}

/** The text without a recipient. @throws AgentError USAGE if it is the last: nobody could open what comes then */
export function removeRecipient(text: string, file: string, removed: Recipient): string {
  if (parseRecipients(text, file).length === 1) {
    throw new AgentError('USAGE', `${removed.id} is the only key that this server seals to`, {
      hint: 'bakker key rotate OLD NEW puts another in its place',
    });
  }
  return changed(
    text,
    text.split('\n').filter((line) => !isLineOf(line, removed)),
  );
}

/** The text with another key in the place of one: at no time is there a file without either. */
export function rotateRecipient(
  text: string,
  { old, added }: { old: Recipient; added: { publicKey: PublicKey; name: string } },
): string {
  return changed(
    text,
    text.split('\n').map((line) => (isLineOf(line, old) ? lineOf(added) : line)),
  );
}

/**
 * The recipient that a person means: by key, by the start of its id (4 digits or more), or by name.
 *
 * @throws AgentError KEY_MISSING if there is none, USAGE if there are several
 */
export function chooseRecipient(recipients: readonly Recipient[], word: string): Recipient {
  const isId = /^[0-9a-f]{4,16}$/.test(word);
  const key = keyIn(word);
  const found = recipients.filter(
    ({ publicKey, id, name }) =>
      key?.equals(publicKey) === true || name === word || (isId && id.startsWith(word)),
  );
  const [only] = found;
  if (only === undefined) {
    refuseKeyWord(word, { place: 'the key', wanted: 'a name, an id or a public key' });
    throw new AgentError('KEY_MISSING', `no key of this server is called ${word}`, {
      hint: 'bakker key list shows them; give its name, its id or the key itself',
    });
  }
  if (found.length === 1) return only;
  throw new AgentError('USAGE', `${word} could be any of ${found.map(({ id }) => id).join(', ')}`, {
    hint: 'give its id',
  });
}

function readLine(line: string, where: string): Recipient {
  const [word = '', ...rest] = line.trim().split(/\s+/);
  try {
    const publicKey = parsePublicKey(word);
    return { publicKey, text: formatPublicKey(publicKey), id: formatKeyId(publicKey), name: rest.join(' ') };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('KEY_DAMAGED', `${where}: ${reason}`, {
      hint: 'correct the line, or take it out',
      cause,
    });
  }
}

function isKeyLine(line: string): boolean {
  return line.trim() !== '' && !line.trimStart().startsWith('#');
}

/** By the key and not its text, which may be in capitals. */
function isLineOf(line: string, { publicKey }: Recipient): boolean {
  return isKeyLine(line) && keyIn(line.trim().split(/\s+/)[0] ?? '')?.equals(publicKey) === true;
}

/** Undefined for a word that is no key. */
function keyIn(word: string): PublicKey | undefined {
  try {
    return parsePublicKey(word);
  } catch (error) {
    if (error instanceof KeyTextError) return undefined;
    throw error;
  }
}

/** Whoever takes a key out must not believe that it was done when it was not. */
function changed(before: string, lines: readonly string[]): string {
  const after = lines.join('\n');
  if (after === before) throw new Error('the line of a recipient was not found');
  return after;
}

function lineOf({ publicKey, name }: { publicKey: PublicKey; name: string }): string {
  return `${formatPublicKey(publicKey)} ${name}`.trim();
}
