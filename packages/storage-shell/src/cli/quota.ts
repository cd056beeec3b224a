import { formatSpace } from '@bakker/command-line';
import type { QuotaView } from '../provision/quota-view.ts';
import type { SpaceChange } from '../provision/policy-file.ts';
import type { StepOutcome } from '../provision/steps.ts';
import {
  DRY_RUN_FLAG,
  ETC_FLAG,
  accountNamed,
  openTools,
  isChanged,
  renderSteps,
  stepsJson,
} from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly name: string;
  readonly limit?: string;
  readonly ceiling?: string;
  readonly reserve?: string;
  readonly dryRun: boolean;
  readonly etc: string;
}

/** With the steps of a dry run. */
interface QuotaResult extends QuotaView {
  readonly planned: readonly StepOutcome[] | undefined;
}

export const quota: Command<Args, QuotaResult> = {
  usage: 'quota <name>',
  summary: 'Show or set how much an account may take',
  examples: [
    ['bakker-storage quota web1', 'what it has, and what is free'],
    ['bakker-storage quota web1 --ceiling 50G', 'what its server may ask for and be given'],
    ['bakker-storage quota web1 --limit 10G --dry-run', 'what would be written for a lower limit'],
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
    const isChange = Object.keys(change).length > 0;
    const steps = isChange ? await changeQuota({ name, change, isDryRun: args.dryRun }, tools) : [];
    const view = await quotaView(name, tools.registry);
    return { ...view, planned: isChange && args.dryRun ? steps : undefined };
  },
  json: ({ planned, ...view }) => (planned === undefined ? view : { ...view, steps: stepsJson(planned) }),
  render({ planned, ...view }, screen) {
    const { account, backend, limitBytes, grantedBytes, usedBytes, freeBytes, ceilingBytes, reserveBytes } =
      view;
    if (planned !== undefined) {
      renderSteps(planned, screen);
      if (!isChanged(planned)) screen.line(`${account} has that already: nothing to do.`);
      return;
    }
    const shown = (bytes: number | null): string => (bytes === null ? 'none' : formatSpace(bytes));
    screen.line(`${account} (${backend})`);
    screen.line(`  limit    ${shown(limitBytes)}`);
    if (grantedBytes !== null) screen.line(`  granted  ${shown(grantedBytes)}, which its server asked for`);
    screen.line(`  used     ${usedBytes === null ? 'not known' : formatSpace(usedBytes)}`);
    screen.line(`  free     ${freeBytes === null ? 'not known' : formatSpace(freeBytes)}`);
    screen.line(`  ceiling  ${shown(ceilingBytes)}`);
    screen.line(`  reserve  ${reserveBytes === null ? 'as usual' : formatSpace(reserveBytes)}`);
  },
};
