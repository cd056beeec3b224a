import {
  formatKeyId,
  formatPaperKey,
  formatPrivateKey,
  formatPublicKey,
  generatePrivateKey,
  isPaperKeyBegun,
  parsePrivateKey,
  publicKeyOf,
} from '@bakker/impl-format/sealed';
import type { PrivateKey } from '@bakker/impl-format/sealed';
import { randomInt } from 'node:crypto';
import { AgentError } from '../errors.ts';
import { addKey, addKeys, loadRecipients } from '../keys/change-recipients.ts';
import { explainKeyText } from '../keys/explain-key.ts';
import { findIdentity } from '../keys/find-identity.ts';
import { keptKeyFile, recipientsFile } from '../keys/key-places.ts';
import type { Recipient } from '../keys/recipients.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { Progress } from '../ports/progress.ts';

/** To whom a new account is sealed. */
export interface KeyPlan {
  readonly hidesNames: boolean;
  /** Public keys, or files with one; none: a key pair is made. */
  readonly recipients: readonly string[];
  /** The private key stays on this server, too. */
  readonly keepsKey: boolean;
  /** A file with a private key: the proof that one was kept. */
  readonly identityFile: string | undefined;
  /** Nobody has to prove that a private key was kept. */
  readonly isTrusted: boolean;
}

export interface KeyTools {
  readonly configFile: string;
  readonly keys: KeyFiles;
  readonly progress: Progress;
  readonly mayAsk: boolean;
}

/**
 * Names to this server whom it seals to, once somebody showed that a private key was kept.
 *
 * @returns files that were made
 * @throws AgentError USAGE, NOT_CONFIRMED, KEY_MISSING, KEY_WRONG, KEY_DAMAGED
 */
export async function prepareRecipients(plan: KeyPlan, tools: KeyTools): Promise<readonly string[]> {
  const { configFile, keys, progress } = tools;
  const file = recipientsFile(configFile);
  const isNew = (await keys.read(file)) === undefined;
  const before = await loadRecipients(file, keys);
  const created: string[] = [];
  if (plan.recipients.length === 0 && before.length === 0) {
    const privateKey = await makeKey(plan, tools);
    await addKey(file, { word: formatPublicKey(publicKeyOf(privateKey)), name: 'first' }, keys);
    if (plan.keepsKey) created.push(await keepKey(privateKey, tools));
  } else {
    // nobody is sealed to before the proof
    const shown = await addKeys(file, plan.recipients, {
      keys,
      confirm: (recipients) => showKey(plan, recipients, tools),
    });
    if (plan.keepsKey) created.push(await keepKey(shown ?? needed(), tools));
  }
  if (isNew) created.push(file);
  const recipients = await loadRecipients(file, keys);
  progress.message(
    `sealed to ${recipients.map(({ id, name }) => (name === '' ? id : `${id} (${name})`)).join(', ')}`,
  );
  if (plan.keepsKey) {
    progress.warning(
      `the private key stays in ${keptKeyFile(configFile)}: whoever breaks into this server can read its past`,
    );
  }
  return created;
}

/** A key pair whose private key is shown once, and read back. */
async function makeKey(
  { keepsKey, isTrusted }: KeyPlan,
  { keys, progress, mayAsk }: KeyTools,
): Promise<PrivateKey> {
  if (!mayAsk && !(keepsKey && isTrusted)) {
    throw new AgentError(
      'USAGE',
      '--encrypt: nobody is named to seal to, and nobody is there to keep a new key',
      {
        hint: 'make a key elsewhere with bakker key generate, and name its public key with --recipient KEY',
      },
    );
  }
  const privateKey = generatePrivateKey();
  const paper = formatPaperKey(privateKey);
  progress.message(
    'The private key. Write it down, numbers and all; without it nobody can restore, and it is not shown again:',
  );
  for (const line of paper.split('\n')) progress.message(`    ${line}`);
  if (isTrusted) return privateKey;
  const groups = paper.split(/\s+/).filter((word) => word.length > 1);
  const number = randomInt(groups.length) + 1;
  const typed = await keys.askSecret(`To show that it was written down, type group ${number} of it: `);
  if (typed?.trim().toLowerCase() === groups[number - 1]) return privateKey;
  throw new AgentError(
    'NOT_CONFIRMED',
    `that is not group ${number}: this key was not taken, and nothing was set up`,
    {
      hint: 'cross it out, and run the same command again for another one',
    },
  );
}

/** A private key that opens what will be sealed; undefined if none was shown, and none has to be. */
async function showKey(
  { identityFile, isTrusted }: KeyPlan,
  recipients: readonly Recipient[],
  { configFile, keys, progress, mayAsk }: KeyTools,
): Promise<PrivateKey | undefined> {
  const warn = (text: string) => progress.warning(text);
  if (identityFile !== undefined) {
    const { privateKey } = await findIdentity({ file: identityFile }, { keys, warn });
    return mustFit(privateKey, recipients);
  }
  if ((await keys.read(keptKeyFile(configFile))) !== undefined) {
    const kept = await findIdentity({ file: keptKeyFile(configFile) }, { keys, warn });
    return mustFit(kept.privateKey, recipients);
  }
  if (isTrusted) return undefined;
  if (!mayAsk) {
    throw new AgentError('NOT_CONFIRMED', 'nobody showed that a private key to these keys was kept', {
      hint: 'show it with --identity-key FILE, or go without with --yes',
    });
  }
  const typed = await keys.askSecret(
    'To show that a private key was kept, type it (its line, the nine groups from paper, or the name of its file; it is not shown): ',
    isPaperKeyBegun,
  );
  if (typed === undefined || typed.trim() === '') {
    throw new AgentError('NOT_CONFIRMED', 'no private key was shown: nothing was set up', {
      hint: 'run the same command again with the key at hand; --yes goes without',
    });
  }
  const text = typed.trim().startsWith('/') ? ((await keys.read(typed.trim()))?.text ?? typed) : typed;
  try {
    return mustFit(await parsePrivateKey(text, () => keys.askSecret('Passphrase: ')), recipients);
  } catch (error) {
    throw explainKeyText(error, 'the key that was typed');
  }
}

function mustFit(privateKey: PrivateKey, recipients: readonly Recipient[]): PrivateKey {
  const id = formatKeyId(publicKeyOf(privateKey));
  if (recipients.some((recipient) => recipient.id === id)) return privateKey;
  const theirs = recipients.map((recipient) => recipient.id).join(', ');
  throw new AgentError(
    'KEY_WRONG',
    `that is the private key ${id}, and this server would seal to ${theirs}`,
    {
      hint: 'name its public key with --recipient, too',
    },
  );
}

async function keepKey(privateKey: PrivateKey, { configFile, keys }: KeyTools): Promise<string> {
  const file = keptKeyFile(configFile);
  if ((await keys.read(file)) === undefined) await keys.create(file, formatPrivateKey(privateKey));
  return file;
}

function needed(): never {
  throw new AgentError('USAGE', '--keep-key: no private key is there to be kept', {
    hint: 'name its file with --identity-key FILE',
  });
}
