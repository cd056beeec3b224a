import type { Deprovisioned } from '../provision/deprovision.ts';
import {
  DRY_RUN_FLAG,
  ETC_FLAG,
  accountNamed,
  isChanged,
  openTools,
  renderSteps,
  stepsJson,
} from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly name: string;
  readonly deleteData: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly etc: string;
}

export const deprovision: Command<Args, Deprovisioned> = {
  usage: 'deprovision <name>',
  summary: 'Close an account; its data stays unless told otherwise',
  examples: [
    ['bakker-storage deprovision web1', 'nobody logs in any more; provision opens it again'],
    [
      'bakker-storage deprovision web1 --delete-data',
      'removes its runs, its volume and its user; asks first',
    ],
  ],
  positionals: { name: { type: 'string', describe: 'the account' } },
  flags: {
    'delete-data': { type: 'boolean', describe: 'delete all its runs, its space and its user' },
    yes: { type: 'boolean', describe: 'do not ask before deleting' },
    ...DRY_RUN_FLAG,
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { checkDeletionWords, deprovision: work } = await import('../provision/deprovision.ts');
    const { mustReadRecord } = await import('../provision/registry.ts');
    checkDeletionWords({ deletesData: args.deleteData, saysYes: args.yes });
    const tools = await openTools(context, args.etc);
    const name = await accountNamed(args.name);
    await mustReadRecord(tools.registry, name);
    if (args.deleteData && !args.yes && !args.dryRun)
      await context.confirm(`Delete all backups of ${name}, for good?`);
    return work({ name, deletesData: args.deleteData, isDryRun: args.dryRun }, tools);
  },
  json: ({ name, folder, deletesData, isDryRun, steps }) => ({
    account: name,
    folder,
    deletedData: deletesData && !isDryRun,
    dryRun: isDryRun,
    changed: isChanged(steps),
    steps: stepsJson(steps),
  }),
  render({ name, folder, deletesData, isDryRun, steps }, screen) {
    renderSteps(steps, screen);
    if (isDryRun) return;
    if (deletesData) screen.line(`The account ${name} is gone, with its data.`);
    else
      screen.line(
        screen.typedHere(
          `The account ${name} is closed; its data stays in ${folder}. bakker-storage provision ${name} opens it again.`,
        ),
      );
  },
};
