import { formatSpace } from '@bakker/command-line';
import type { QuotaView } from '../provision/quota-view.ts';
import type { SpaceChange } from '../provision/policy-file.ts';
import { DRY_RUN_FLAG, ETC_FLAG, accountNamed, openTools } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly name: string;
  readonly limit?: string;
  readonly ceiling?: string;
  readonly reserve?: string;
  readonly dryRun: boolean;
  readonly etc: string;
}

export const quota: Command<Args, QuotaView> = {
  usage: 'quota <name>',
  summary: 'Show or set how much an account may take',
  examples: [
    ['bakker-storage quota web1', 'what it has, and what is free'],
    ['bakker-storage quota web1 --ceiling 50G', 'what its server may ask for and be given'],
  ],
  positionals: { name: { type: 'string', describe: 'the account' } },
  flags: {
    limit: {
      type: 'string',
      requiresArg: true,
      describe: 'what it may take; it may be lowered, except for lvm',
    },
    ceiling: { type: 'string', requiresArg: true, describe: 'what it may be given when its server asks' },
    reserve: {
      type: 'string',
      requiresArg: true,
      describe: 'kept free, so that publishing and deleting still work',
    },
    ...DRY_RUN_FLAG,
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { changeQuota } = await import('../provision/grow.ts');
    const { quotaView } = await import('../provision/quota-view.ts');
    const { sizeFlag } = await import('../provision/sizes.ts');
    const tools = await openTools(context, args.etc);
    const name = await accountNamed(args.name);
    const given = {
      limitBytes: sizeFlag(args.limit, '--limit'),
      ceilingBytes: sizeFlag(args.ceiling, '--ceiling'),
      reserveBytes: sizeFlag(args.reserve, '--reserve'),
    };
    const change: SpaceChange = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    );
    if (Object.keys(change).length > 0) await changeQuota({ name, change, isDryRun: args.dryRun }, tools);
    return quotaView(name, tools.registry);
  },
  json: (view) => view,
  render({ account, backend, limitBytes, usedBytes, freeBytes, ceilingBytes, reserveBytes }, screen) {
    const shown = (bytes: number | null): string => (bytes === null ? 'none' : formatSpace(bytes));
    screen.line(`${account} (${backend})`);
    screen.line(`  limit    ${shown(limitBytes)}`);
    screen.line(`  used     ${usedBytes === null ? 'not known' : formatSpace(usedBytes)}`);
    screen.line(`  free     ${freeBytes === null ? 'not known' : formatSpace(freeBytes)}`);
    screen.line(`  ceiling  ${shown(ceilingBytes)}`);
    screen.line(`  reserve  ${reserveBytes === null ? 'as usual' : formatSpace(reserveBytes)}`);
  },
};
