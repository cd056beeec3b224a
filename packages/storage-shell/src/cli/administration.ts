import { resolve } from 'node:path';
import type { Options, Screen } from '@bakker/command-line';
import { StorageError } from '../errors.ts';
import type { AccountName } from '../provision/account-name.ts';
import type { PublicKey } from '../provision/public-key.ts';
import type { ProvisionTools } from '../provision/provision.ts';
import type { StepOutcome } from '../provision/steps.ts';
import type { CommandContext } from './command.ts';

/** Taken by every command of the storage's administrator. */
export const ETC_FLAG = {
  etc: {
    type: 'string',
    requiresArg: true,
    default: '/etc/bakker-storage',
    describe: 'DIR with storage.yaml, accounts, keys and groups',
  },
} as const satisfies Record<string, Options>;

export const DRY_RUN_FLAG = {
  'dry-run': { type: 'boolean', describe: 'only show each command and file' },
} as const satisfies Record<string, Options>;

/** What the commands' work needs, from the context. */
export async function openTools(context: CommandContext, etc: string): Promise<ProvisionTools> {
  const { readPlaces } = await import('../provision/places.ts');
  const system = await context.ports.system();
  const places = await readPlaces(system, etc.replace(/(?<=.)\/+$/, ''));
  return { registry: { system, places }, signal: context.signal, note: (text) => context.note(text) };
}

/** @throws StorageError USAGE */
export async function accountNamed(text: string): Promise<AccountName> {
  const { parseAccountName } = await import('../provision/account-name.ts');
  return parseAccountName(text);
}

/** Each word is a public key itself, or a file with public keys. @throws StorageError USAGE */
export async function readKeys(words: readonly string[], { registry }: ProvisionTools): Promise<PublicKey[]> {
  const { looksLikeKey, parsePublicKeys } = await import('../provision/public-key.ts');
  const keys: PublicKey[] = [];
  for (const word of words) {
    if (looksLikeKey(word)) {
      keys.push(...parsePublicKeys(word, '--key'));
      continue;
    }
    const text = await registry.system.readText(absolute(word));
    if (text === undefined) {
      throw new StorageError('USAGE', `there is no file ${word}`, {
        hint: 'give a .pub file, or the key itself in quotes',
      });
    }
    keys.push(...parsePublicKeys(text, word));
  }
  return [...new Set(keys)];
}

export function stepsJson(steps: readonly StepOutcome[]): unknown {
  return steps.map(({ title, result, lines }) => ({ step: title, result, commands: lines }));
}

/** What was done, or with `--dry-run` each command that would be. */
export function renderSteps(steps: readonly StepOutcome[], screen: Screen): void {
  for (const { title, lines, result } of steps) {
    if (result !== 'would') continue;
    screen.line(`# ${title}`);
    for (const line of lines) screen.line(line);
  }
}

export function isChanged(steps: readonly StepOutcome[]): boolean {
  return steps.some(({ result }) => result !== 'already');
}

/** Relative to where the command was started. */
export function absolute(path: string): string {
  return resolve(path);
}
