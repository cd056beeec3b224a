import { StorageError } from '../errors.ts';
import type { Grant } from '../provision/account-record.ts';
import type { StepOutcome } from '../provision/steps.ts';
import { ETC_FLAG, accountNamed, isChanged, openTools, readKeys, stepsJson } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account?: string;
  readonly key?: readonly string[];
  readonly to?: readonly string[];
  readonly group?: readonly string[];
  readonly refresh: boolean;
  readonly etc: string;
}

const MANY = { type: 'string', array: true, nargs: 1, requiresArg: true } as const;

export const grant: Command<Args, readonly StepOutcome[]> = {
  usage: 'grant [account]',
  summary: 'Let others read an account',
  examples: [
    ['bakker-storage grant web1 --to web2', 'the server of web2 restores what web1 backed up'],
    ['bakker-storage grant web1 --group webs', 'all members of a group, now and later'],
    ['bakker-storage grant web1 --key new-machine.pub', 'a key of no account'],
    ['bakker-storage grant --refresh', 'after groups.yaml was edited'],
  ],
  positionals: { account: { type: 'string', describe: 'the account that is to be read' } },
  flags: {
    key: { ...MANY, describe: 'a public key: a FILE, or the key itself' },
    to: { ...MANY, describe: 'the keys that another ACCOUNT has, now and later' },
    group: { ...MANY, describe: 'the accounts of a group, now and later' },
    refresh: { type: 'boolean', describe: 'only write the key files anew' },
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { grant: work, refreshKeys } = await import('../provision/sharing.ts');
    const tools = await openTools(context, args.etc);
    const grants: Grant[] = [
      ...(await readKeys(args.key ?? [], tools)).map((key): Grant => ({ to: 'key', key })),
      ...(await Promise.all((args.to ?? []).map(accountNamed))).map((name): Grant => ({
        to: 'account',
        name,
      })),
      ...(args.group ?? []).map((name): Grant => ({ to: 'group', name })),
    ];
    if (args.refresh) {
      if (args.account !== undefined || grants.length > 0)
        throw new StorageError('USAGE', 'grant: --refresh takes nothing else');
      return refreshKeys(tools);
    }
    if (args.account === undefined) throw new StorageError('USAGE', 'grant: which account?');
    if (grants.length === 0) {
      throw new StorageError('USAGE', 'grant: to whom?', {
        hint: 'say --key FILE, --to ACCOUNT or --group NAME',
      });
    }
    return work({ name: await accountNamed(args.account), grants }, tools);
  },
  json: (steps) => ({ changed: isChanged(steps), steps: stepsJson(steps) }),
  render(steps, screen) {
    screen.line(
      isChanged(steps)
        ? 'Granted: it holds from the next log-in on.'
        : 'It was so already: nothing was changed.',
    );
  },
};
