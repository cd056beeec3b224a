import { StorageError } from '../errors.ts';
import type { Revocation } from '../provision/sharing.ts';
import type { StepOutcome } from '../provision/steps.ts';
import { ETC_FLAG, accountNamed, isChanged, openTools, readKeys, stepsJson } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
  readonly key?: readonly string[];
  readonly to?: readonly string[];
  readonly group?: readonly string[];
  readonly etc: string;
}

const MANY = { type: 'string', array: true, nargs: 1, requiresArg: true } as const;

export const revoke: Command<Args, readonly StepOutcome[]> = {
  usage: 'revoke <account>',
  summary: 'Take a grant back, or a key of the account itself',
  examples: [
    ['bakker-storage revoke web1 --to web2', 'what grant gave'],
    ['bakker-storage revoke web1 --key SHA256:…', 'a lost key, by its fingerprint; its sessions end at once'],
  ],
  positionals: { account: { type: 'string', describe: 'the account' } },
  flags: {
    key: { ...MANY, describe: 'a public key: a FILE, the key itself, or its fingerprint SHA256:…' },
    to: { ...MANY, describe: 'the ACCOUNT that it was granted to' },
    group: { ...MANY, describe: 'the group that it was granted to' },
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { revoke: work } = await import('../provision/sharing.ts');
    const tools = await openTools(context, args.etc);
    const isFingerprint = (word: string): boolean => /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(word);
    const words = args.key ?? [];
    const odd = words.find((word) => word.startsWith('SHA256:') && !isFingerprint(word));
    if (odd !== undefined) {
      throw new StorageError('USAGE', `${odd} is no fingerprint of a key: 43 characters follow SHA256:`, {
        hint: `bakker-storage accounts --json lists those of ${args.account}`,
      });
    }
    const keys = await readKeys(
      words.filter((word) => !isFingerprint(word)),
      tools,
    );
    const revoked: Revocation[] = [
      ...keys.map((key): Revocation => ({ to: 'key', key })),
      ...words
        .filter(isFingerprint)
        .map((word): Revocation => ({ to: 'fingerprint', fingerprint: word.replace(/=$/, '') })),
      ...(await Promise.all((args.to ?? []).map(accountNamed))).map((name): Revocation => ({
        to: 'account',
        name,
      })),
      ...(args.group ?? []).map((name): Revocation => ({ to: 'group', name })),
    ];
    if (revoked.length === 0) {
      throw new StorageError('USAGE', 'revoke: from whom?', {
        hint: 'say --key KEY, --to ACCOUNT or --group NAME',
      });
    }
    return work({ name: await accountNamed(args.account), revoked }, tools);
  },
  json: (steps) => ({ changed: isChanged(steps), steps: stepsJson(steps) }),
  render(_steps, screen) {
    screen.line('Revoked; sessions that it may have opened were ended, servers go on by themselves.');
  },
};
