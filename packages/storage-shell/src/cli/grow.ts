import { StorageError } from '../errors.ts';
import type { Grown } from '../provision/grow.ts';
import { DRY_RUN_FLAG, ETC_FLAG, accountNamed, openTools, renderSteps, stepsJson } from './administration.ts';
import type { Command } from './command.ts';
import { formatBytes } from './format.ts';

interface Args {
  readonly name: string;
  readonly size: string;
  readonly dryRun: boolean;
  readonly etc: string;
}

export const grow: Command<Args, Grown> = {
  usage: 'grow <name> <size>',
  summary: 'Give an account more space, while it is in use',
  examples: [
    ['bakker-storage grow web1 20G', 'to 20G: the volume and its file system, the quota, or the limit'],
  ],
  positionals: {
    name: { type: 'string', describe: 'the account' },
    size: { type: 'string', describe: 'what it may take then: 20G' },
  },
  flags: { ...DRY_RUN_FLAG, ...ETC_FLAG },
  async run(context, args) {
    const { grow: work } = await import('../provision/grow.ts');
    const { sizeFlag } = await import('../provision/sizes.ts');
    const sizeBytes = sizeFlag(args.size, 'grow:');
    if (sizeBytes === undefined) throw new StorageError('USAGE', 'grow: to what size?');
    const tools = await openTools(context, args.etc);
    return work({ name: await accountNamed(args.name), sizeBytes, isDryRun: args.dryRun }, tools);
  },
  json: ({ name, beforeBytes, sizeBytes, isDryRun, steps }) => ({
    account: name,
    beforeBytes,
    sizeBytes,
    dryRun: isDryRun,
    steps: stepsJson(steps),
  }),
  render({ name, beforeBytes, sizeBytes, isDryRun, steps }, screen) {
    renderSteps(steps, screen);
    if (isDryRun) return;
    if (beforeBytes === sizeBytes) screen.line(`${name} had ${formatBytes(sizeBytes)} already.`);
    else screen.line(`${name} had ${formatBytes(beforeBytes)}, and has ${formatBytes(sizeBytes)} now.`);
  },
};
