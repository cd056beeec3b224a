import { escapeText, formatBytes, tableLines } from '@bakker/command-line';
import { parseRunName } from '@bakker/impl-format/storage';
import { StorageError } from '../errors.ts';
import type { FreedFigures } from '../retain/shared-use.ts';
import { asAccount } from './as-account.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account?: string;
  readonly run?: string | readonly string[];
}

interface Usage {
  readonly account: string;
  /** Everything in the account; null where only some runs were asked for. */
  readonly total: FreedFigures | null;
  readonly runs: readonly { readonly run: string; readonly freesBytes: number }[];
  readonly together: number;
}

export const usage: Command<Args, Usage> = {
  usage: 'usage',
  summary: 'Say exactly what deleting runs would free, and what the account takes',
  examples: [
    ['bakker-storage usage --account server1', 'every run, and all together'],
    [
      'bakker-storage usage --account server1 --run 2024_04_18_01 --run 2024_04_19_01',
      'each, and both together',
    ],
  ],
  positionals: {},
  flags: {
    account: { type: 'string', describe: 'NAME of the account', demandOption: true },
    run: { type: 'string', array: true, describe: 'a RUN; more than one may be given' },
  },
  run(context, { account = '', run: given = [] }) {
    const texts = typeof given === 'string' ? [given] : given;
    const asked = texts.map((text) => {
      const run = parseRunName(text);
      if (run === undefined) throw new StorageError('USAGE', `${escapeText(text)} is no name of a run`);
      return run;
    });
    return asAccount<Usage>(context, account, async ({ openKeeper }) => {
      using keeper = openKeeper(context.rootDir, account);
      const all = keeper.runs().map(({ run }) => run);
      const measured = await keeper.measure(asked.length > 0 ? asked : all, context.signal);
      const total = asked.length > 0 ? null : await keeper.measureAll(context.signal);
      const runs = measured.runs.map(({ run, freed }) => ({ run, freesBytes: freed.bytes }));
      return { account, total, runs, together: measured.together.bytes };
    });
  },
  json: (result) => [result],
  render({ account, total, runs, together }, screen) {
    const rows = runs.map(({ run, freesBytes }) => [run, formatBytes(freesBytes)]);
    const both = runs.length > 1 ? [['all of them', formatBytes(together)]] : [];
    for (const line of tableLines([['deleting', 'frees'], ...rows, ...both], { rightAligned: [1] }))
      screen.line(line);
    if (total !== null)
      screen.line(`${account} takes ${formatBytes(total.bytes)} in ${total.inodes} files and folders.`);
  },
};
