import { sizeText } from '../provision/sizes.ts';
import { StorageError } from '../errors.ts';
import type { Grown } from '../provision/grow.ts';
import { DRY_RUN_FLAG, ETC_FLAG, accountNamed, openTools, renderSteps, stepsJson } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly name?: string;
  readonly size?: string;
  readonly requested: boolean;
  readonly dryRun: boolean;
  readonly etc: string;
}

export const grow: Command<Args, readonly Grown[]> = {
  usage: 'grow [name] [size]',
  summary: 'Give an account more space, while it is in use',
  examples: [
    ['bakker-storage grow web1 20G', 'to 20G: the volume and its file system, the quota, or the limit'],
  ],
  positionals: {
    name: { type: 'string', describe: 'the account' },
    size: { type: 'string', describe: 'what it may take then: 20G' },
  },
  flags: {
    requested: {
      type: 'boolean',
      describe: 'all accounts on volumes and quotas: what their servers asked for, up to their ceilings',
    },
    ...DRY_RUN_FLAG,
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { grow: work, growRequested } = await import('../provision/grow.ts');
    const { sizeFlag } = await import('../provision/sizes.ts');
    const tools = await openTools(context, args.etc);
    if (args.requested) {
      if (args.name !== undefined) throw new StorageError('USAGE', 'grow: --requested is for all accounts');
      return growRequested(args.dryRun, tools);
    }
    const sizeBytes = sizeFlag(args.size, 'grow:');
    if (args.name === undefined || sizeBytes === undefined) {
      throw new StorageError('USAGE', 'grow: which account, and to what size?', {
        hint: 'bakker-storage grow web1 20G',
      });
    }
    return [await work({ name: await accountNamed(args.name), sizeBytes, isDryRun: args.dryRun }, tools)];
  },
  json: (all) =>
    all.map(({ name, beforeBytes, sizeBytes, isDryRun, steps }) => ({
      account: name,
      beforeBytes,
      sizeBytes,
      dryRun: isDryRun,
      steps: stepsJson(steps),
    })),
  render(all, screen) {
    for (const { name, beforeBytes, sizeBytes, isDryRun, steps } of all) {
      renderSteps(steps, screen);
      if (isDryRun) continue;
      if (beforeBytes === sizeBytes) screen.line(`${name} had ${sizeText(sizeBytes)} already.`);
      else screen.line(`${name} had ${sizeText(beforeBytes)}, and has ${sizeText(sizeBytes)} now.`);
    }
    if (all.length === 0) screen.line('No account asks for space that it may be given.');
  },
};
