import { escapeText } from '@bakker/command-line';
import type { MadeKey } from '../keys/make-key.ts';
import type { Recipient } from '../keys/recipients.ts';
import { AgentError } from '../errors.ts';
import type { Command, CommandContext } from './command.ts';

const ACTIONS = ['generate', 'list', 'add', 'remove', 'check', 'rotate'] as const;

interface KeyArgs {
  readonly action: (typeof ACTIONS)[number];
  readonly keys: readonly string[] | undefined;
  readonly out: string | undefined;
  readonly paper: boolean;
  readonly passphrase: boolean;
  readonly passphraseFile: string | undefined;
  readonly name: string | undefined;
  readonly identityKey: string | undefined;
}

type KeyResult =
  | { readonly kind: 'made'; readonly made: MadeKey }
  | { readonly kind: 'recipients'; readonly recipients: readonly Recipient[]; readonly note: string }
  | {
      readonly kind: 'checked';
      readonly id: string;
      readonly source: string;
      readonly recipient: Recipient | undefined;
    };

const OLD_RUNS_NOTE =
  'Runs that are there already stay sealed as they are: keep the old private key as long as you keep them.';

export const key: Command<KeyArgs, KeyResult> = {
  usage: 'key <action> [keys..]',
  summary: 'Make keys, and choose whom backups are sealed to',
  examples: [
    [
      'bakker key generate --out /media/stick/web1.key --passphrase',
      'a key pair; the public key is the last line',
    ],
    ['bakker key generate --paper', 'prints the private key once, to be kept on paper'],
    ['bakker key add bakker-public-key:… --name offline', 'new runs are sealed to this key, too'],
    ['bakker key remove offline', 'new runs are not sealed to it any more'],
    ['bakker key rotate offline bakker-public-key:…', 'another key in the place of one'],
    ['bakker key check --identity-key /media/stick/web1.key', 'is it whole, and one of those sealed to?'],
  ],
  positionals: {
    action: { choices: ACTIONS, demandOption: true, describe: ACTIONS.join(', ') },
    keys: {
      type: 'string',
      array: true,
      describe: 'a public key, or a file with one; to name one that is there: its name or id',
    },
  },
  flags: {
    out: { type: 'string', describe: 'generate: new file for the private key' },
    paper: { type: 'boolean', describe: 'generate: print the private key to keep it on paper' },
    passphrase: { type: 'boolean', describe: 'generate: protect the file by a passphrase, and ask for it' },
    'passphrase-file': { type: 'string', describe: 'generate: protect it by the passphrase in this file' },
    name: { type: 'string', describe: 'add, rotate: what people call the key' },
    'identity-key': { type: 'string', describe: 'check: file with the private key' },
  },
  run: async (context, args) => {
    const words = args.keys ?? [];
    checkWords(args.action, words);
    checkFlags(args);
    switch (args.action) {
      case 'generate':
        return generate(context, args);
      case 'check':
        return check(context, args);
      default:
        return changeRecipients(context, args, words);
    }
  },
  json(result) {
    switch (result.kind) {
      case 'made': {
        const { publicKey, id, file, isProtected, paper } = result.made;
        return {
          publicKey,
          id,
          file: file ?? null,
          protected: isProtected,
          ...(paper === undefined ? {} : { paper }),
        };
      }
      case 'recipients':
        return result.recipients.map(({ name, id, text }) => ({ name, id, publicKey: text }));
      case 'checked':
        return { id: result.id, recipient: result.recipient?.name ?? null };
    }
  },
  render(result, screen) {
    switch (result.kind) {
      case 'made':
        renderMade(result.made, (text) => screen.line(text));
        return;
      case 'recipients':
        if (result.recipients.length === 0) screen.line('No key yet: nothing can be sealed.');
        for (const { name, id, text } of result.recipients) {
          screen.line(`${id}  ${text}${name === '' ? '' : `  ${escapeText(name)}`}`);
        }
        if (result.note !== '') screen.line(result.note);
        return;
      case 'checked': {
        const name = result.recipient?.name ?? '';
        screen.line(`${escapeText(result.source)} holds the private key ${result.id}, and is whole.`);
        screen.line(
          result.recipient === undefined
            ? 'This machine has no keys to compare it with.'
            : `This server seals to it${name === '' ? '' : ` (${escapeText(name)})`}.`,
        );
        return;
      }
    }
  },
};

async function generate(context: CommandContext, args: KeyArgs): Promise<KeyResult> {
  const { makeKey } = await import('../keys/make-key.ts');
  const { passphraseFile } = args;
  const made = await makeKey(
    {
      file: args.out,
      passphrase: passphraseFile !== undefined ? { file: passphraseFile } : args.passphrase ? 'ask' : 'none',
      onPaper: args.paper,
    },
    await context.keys(),
  );
  if (made.file !== undefined && !made.isProtected) {
    context.progress.warning(
      `${made.file} is not protected: whoever reads it can read all that is sealed to it; do not leave it on the server`,
    );
  }
  return { kind: 'made', made };
}

async function check(context: CommandContext, args: KeyArgs): Promise<KeyResult> {
  const { findIdentity } = await import('../keys/find-identity.ts');
  const { loadRecipients } = await import('../keys/change-recipients.ts');
  const { keptKeyFile, recipientsFile } = await import('../keys/key-places.ts');
  const keys = await context.keys();
  const recipients = await loadRecipients(recipientsFile(context.configFile), keys);
  const { id, source } = await findIdentity(
    { file: args.identityKey, keptFile: keptKeyFile(context.configFile) },
    { keys, warn: (text) => context.progress.warning(text) },
  );
  const recipient = recipients.find((each) => each.id === id);
  if (recipient === undefined && recipients.length > 0) {
    throw new AgentError(
      'KEY_WRONG',
      `${source} holds the key ${id}, and this server seals to ${recipients.map((each) => each.id).join(', ')}`,
      {
        hint: 'runs of an earlier time may still be sealed to it',
      },
    );
  }
  return { kind: 'checked', id, source, recipient };
}

async function changeRecipients(
  context: CommandContext,
  { action, name = '' }: KeyArgs,
  words: readonly string[],
): Promise<KeyResult> {
  const { addKey, loadRecipients, removeKey, rotateKey } = await import('../keys/change-recipients.ts');
  const { recipientsFile } = await import('../keys/key-places.ts');
  const keys = await context.keys();
  const file = recipientsFile(context.configFile);
  const [word = '', newWord = ''] = words;
  switch (action) {
    case 'add':
      return { kind: 'recipients', recipients: await addKey(file, { word, name }, keys), note: '' };
    case 'remove':
      return { kind: 'recipients', recipients: await removeKey(file, word, keys), note: OLD_RUNS_NOTE };
    case 'rotate': {
      const recipients = await rotateKey(file, { oldWord: word, newWord, name }, keys);
      return { kind: 'recipients', recipients, note: OLD_RUNS_NOTE };
    }
    default:
      return { kind: 'recipients', recipients: await loadRecipients(file, keys), note: '' };
  }
}

function renderMade({ publicKey, file, isProtected, paper }: MadeKey, line: (text: string) => void): void {
  if (paper !== undefined) {
    line('The private key. Write it down, numbers and all; it is not shown again:');
    line('');
    for (const row of paper.split('\n')) line(`    ${row}`);
    line('');
  }
  if (file !== undefined) {
    const how = isProtected ? 'protected by the passphrase' : 'not protected';
    line(`The private key is in ${escapeText(file)}, ${how}.`);
  }
  line('Without it nobody can read what is sealed to it. The public key, for bakker key add:');
  line(publicKey);
}

/** A flag that would be ignored is refused: who gave `--passphrase-file` believes the key protected. */
function checkFlags(args: KeyArgs): void {
  const { action, out, paper, passphrase, passphraseFile, name, identityKey } = args;
  const given: [flag: string, isGiven: boolean, actions: readonly KeyArgs['action'][]][] = [
    ['--out', out !== undefined, ['generate']],
    ['--paper', paper, ['generate']],
    ['--passphrase', passphrase, ['generate']],
    ['--passphrase-file', passphraseFile !== undefined, ['generate']],
    ['--name', name !== undefined, ['add', 'rotate']],
    ['--identity-key', identityKey !== undefined, ['check']],
  ];
  for (const [flag, isGiven, actions] of given) {
    if (!isGiven || actions.includes(action)) continue;
    throw new AgentError('USAGE', `key ${action} does not take ${flag}: it is for ${actions.join(' and ')}`, {
      hint: 'bakker key --help shows examples',
    });
  }
}

function checkWords(action: KeyArgs['action'], words: readonly string[]): void {
  const count = { generate: 0, list: 0, add: 1, remove: 1, check: 0, rotate: 2 }[action];
  if (words.length === count) return;
  const takes = ['no key', 'one key', 'two keys: the old one and the new one'][count];
  throw new AgentError('USAGE', `key ${action} takes ${takes}, not ${words.length}`, {
    hint: 'bakker key --help shows examples',
  });
}
