import { escapeText, formatBytes } from '@bakker/command-line';
import { decodeByteText, toByteText } from '@bakker/impl-format/storage';
import type { ByteText } from '@bakker/impl-format/storage';
import { EXIT_STATUS, StorageError } from '../errors.ts';
import type { Command } from './command.ts';
import { WHICH_FLAGS, eachAccount, statusOf } from './each-account.ts';
import type { Outcomes, Which } from './each-account.ts';

interface Args extends Which {
  readonly sample?: string;
  readonly budget?: string;
}

interface Scrubbed {
  readonly account: string;
  readonly files: number;
  readonly checked: number;
  readonly checkedBytes: number;
  /** Not read to their end: the budget was over. */
  readonly givenUp: number;
  readonly noted: number;
  /** The oldest check that is left; null if some file was never checked, or given up. */
  readonly oldestCheck: string | null;
  readonly healed: number;
  readonly hurtManifests: readonly string[];
  readonly hurt: readonly {
    readonly inode: number;
    readonly sha256: string;
    readonly found: string | null;
    readonly names: readonly { readonly run: string; readonly path: ByteText }[];
  }[];
}

export const scrub: Command<Args, Outcomes<Scrubbed>> = {
  usage: 'scrub',
  summary: 'Read stored files again and find every bit that is not as it was stored',
  examples: [
    ['bakker-storage scrub --all', 'read everything'],
    ['bakker-storage scrub --all --budget 30m', 'for half an hour an account, oldest check first'],
    ['bakker-storage scrub --account server1 --sample 5%', 'a twentieth, oldest check first'],
  ],
  positionals: {},
  flags: {
    ...WHICH_FLAGS,
    sample: { type: 'string', describe: 'a SHARE of the files, such as 5%' },
    budget: { type: 'string', describe: 'no file is begun after this TIME, such as 30m or 2h' },
  },
  async run(context, { account, all, sample, budget }) {
    const share = sample === undefined ? 1 : parseShare(sample);
    const budgetMs = budget === undefined ? undefined : parseTime(budget);
    const { scrubAccount } = await import('../scrub/scrub-account.ts');
    return eachAccount<Scrubbed>(
      context,
      { all, ...(account === undefined ? {} : { account }) },
      {
        words: (name) => [
          'scrub',
          '--account',
          name,
          ...(sample === undefined ? [] : ['--sample', sample]),
          ...(budget === undefined ? [] : ['--budget', budget]),
        ],
        async perform(name, { openContent, stepBack }) {
          stepBack();
          using content = openContent(context.rootDir, name);
          const { signal } = context;
          const nowMs = (): number => context.nowMs();
          const { hurt, oldestCheckMs, ...figures } = await scrubAccount(content, {
            share,
            budgetMs,
            nowMs,
            signal,
          });
          return {
            account: name,
            ...figures,
            oldestCheck: oldestCheckMs === null ? null : new Date(oldestCheckMs).toISOString(),
            hurtManifests: hurt.manifests,
            hurt: hurt.files.map((file) => ({
              ...file,
              names: file.names.map(({ run, path }) => ({ run, path: toByteText(path) })),
            })),
          };
        },
      },
    );
  },
  json: ({ results }) => results,
  render({ results, failures }, screen) {
    for (const result of results) {
      const { account, files, checked, checkedBytes, givenUp, hurt, hurtManifests, healed } = result;
      screen.line(`${account}: checked ${checked} of ${files} files, ${formatBytes(checkedBytes)}.`);
      if (givenUp > 0) screen.line(`  ${givenUp} are so large that the budget did not suffice to read them.`);
      if (healed > 0) screen.line(`  ${healed} that were hurt are right again or gone.`);
      for (const run of hurtManifests) screen.line(`  DAMAGED ${run}.impl: the run's manifest`);
      for (const { names, found } of hurt) {
        for (const { run, path } of names) {
          const what = found === null ? ' (unreadable)' : '';
          screen.line(`  DAMAGED ${run}/${screen.name(decodeByteText(path))}${what}`);
        }
      }
      if (hurt.length > 0) {
        screen.line(
          '  What of these is in the newest run is sent again by the next backup, if the server still has it.',
        );
        screen.line('  Older runs keep the damage until it is mended by hand (docs/scrub.md), or they go.');
      }
    }
    if (results.length + failures.length === 0) screen.line('There was no account to look at.');
  },
  exitStatus: (outcomes) => {
    const isHurt = outcomes.results.some(({ hurt, hurtManifests }) => hurt.length + hurtManifests.length > 0);
    return isHurt ? EXIT_STATUS.DAMAGE_FOUND : statusOf(outcomes);
  },
};

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseShare(text: string): number {
  const percent = Number(/^([0-9]{1,3}(?:\.[0-9]+)?) ?%$/.exec(text)?.[1] ?? NaN);
  if (percent > 0 && percent <= 100) return percent / 100;
  throw new StorageError('USAGE', `--sample ${escapeText(text)} is no share`, { hint: 'write it as 5%' });
}

function parseTime(text: string): number {
  const match = /^([0-9]{1,6}(?:\.[0-9]+)?) ?([smhd])$/.exec(text);
  const timeMs = Number(match?.[1] ?? NaN) * (UNIT_MS[match?.[2] ?? ''] ?? NaN);
  if (timeMs > 0) return timeMs;
  throw new StorageError('USAGE', `--budget ${escapeText(text)} is no time`, {
    hint: 'write it as 30m or 2h',
  });
}
