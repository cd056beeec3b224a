import { formatBytes, formatCounted, formatDuration } from '@bakker/command-line';
import type { Screen } from '@bakker/command-line';
import { pathJson } from '../browse/path-text.ts';
import { AgentError, EXIT_STATUS } from '../errors.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { Overwrite } from '../restore/decide.ts';
import type { RestoreJob } from '../restore/restore-job.ts';
import type { RestoreOutcome } from '../restore/restore-run.ts';
import type { Command, CommandContext } from './command.ts';
import { holdRuns } from '../retain/hold-runs.ts';
import { LIMIT_FLAGS, limitsOf } from './limit-flags.ts';
import { TIMINGS_FLAG, timingsIf } from './timings-flag.ts';
import { timingLines } from '../timings/timings.ts';
import type { Timings } from '../timings/timings.ts';
import type { LimitArgs } from './limit-flags.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';
import { stages } from '../timings/stages.ts';

interface RestoreArgs extends ReadingArgs, LimitArgs {
  readonly paths: readonly string[];
  readonly from: string;
  readonly to?: string;
  readonly inPlace: boolean;
  readonly overwrite: Overwrite;
  readonly delete: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly verify: boolean;
  readonly numericOwner: boolean;
  readonly timings: boolean;
}

interface Restoring {
  readonly job: RestoreJob;
  readonly account: StorageAccount;
  /** As `--account` names it. */
  readonly other: string | undefined;
}

interface Restored {
  /** Where the time went, if that was asked for. */
  readonly timings?: Timings | undefined;
  readonly job: RestoreJob;
  readonly outcome: RestoreOutcome;
}

export const restore: Command<RestoreArgs, Restored> = {
  usage: 'restore [paths..]',
  summary: 'Bring files back from a run',
  examples: [
    ['bakker restore --to /tmp/back', 'everything of the latest run, below /tmp/back'],
    ['bakker restore /etc/nginx --to /tmp/back', 'one folder: it comes to /tmp/back/etc/nginx'],
    ['bakker restore /etc/passwd --from 2024-04-19 --in-place', 'a file where it was, as of that day'],
    [
      'bakker restore "/var/log/**/*.log" --from 2024_04_19_01 --to /tmp/back --dry-run',
      'only say what would be done',
    ],
    [
      'bakker restore --account web1 --to /mnt/new',
      'what another server backed up, if this one was granted it',
    ],
    ['bakker restore /srv --in-place --delete --verify', 'make /srv what it was, and read it again'],
  ],
  positionals: {
    paths: {
      type: 'string',
      array: true,
      describe: 'paths as they were on the server, folders with all in them, or globs (* ? **); all if none',
    },
  },
  flags: {
    ...ACCOUNT_FLAG,
    ...LIMIT_FLAGS,
    from: {
      type: 'string',
      requiresArg: true,
      default: 'latest',
      describe:
        'latest, a run, or a date (2024-04-19, 2024-04-19T13:00): the newest run at or before it, UTC',
    },
    to: { type: 'string', requiresArg: true, describe: 'folder to restore below: DIR/etc/passwd' },
    'in-place': { type: 'boolean', describe: 'restore to where the files were' },
    overwrite: {
      choices: ['always', 'if-changed', 'if-newer', 'never'],
      default: 'if-changed',
      describe: 'when to replace what is there already',
    },
    delete: {
      type: 'boolean',
      describe: 'remove from restored folders what the run does not have; asks first',
    },
    yes: { type: 'boolean', describe: 'do not ask before deleting' },
    'dry-run': { type: 'boolean', describe: 'only say what would be done' },
    verify: { type: 'boolean', describe: 'read what was restored again and compare it with the run' },
    ...TIMINGS_FLAG,
    'numeric-owner': { type: 'boolean', describe: 'set owners by number, not by name' },
  },
  async run(context, args) {
    // runs of another account are not removed from here
    using _held = args.account === undefined ? await holdRuns(await context.readingLock(), context) : null;
    return await bringBack(context, args);
  },
  json: ({ job, outcome: { report, seconds, unmatched }, timings }) => ({
    run: job.run,
    files: report.files,
    bytes: report.bytes,
    seconds: Math.round(seconds * 1000) / 1000,
    skipped: report.skipped,
    deleted: report.deleted,
    warnings: [...unmatched.map(({ text }) => `${job.run} has nothing at ${text}`), ...report.warnings()],
    damaged: report.damaged.items.map(({ path, reason }) => ({ ...pathJson(path), reason })),
    ...(timings === undefined ? {} : { timings }),
  }),
  render,
  exitStatus: ({ outcome: { report, unmatched } }) => {
    if (report.damaged.count > 0) return EXIT_STATUS.VERIFY_DAMAGED;
    if (report.failed.count > 0 || unmatched.length > 0) return EXIT_STATUS.RESTORE_FAILED;
    return report.absent.count > 0 ? EXIT_STATUS.SOME_UNREADABLE : 0;
  },
};

/** Apart from `run`: beside a `using`, TypeScript leaves the names of modules that are imported here as they stand. */
async function bringBack(context: CommandContext, args: RestoreArgs): Promise<Restored> {
  const { chooseRun } = await import('../browse/choose-run.ts');
  const { parsePathPattern } = await import('../restore/path-pattern.ts');
  const to = targetOf(args);
  const patterns = (args.paths ?? []).map(parsePathPattern);
  const { memoryBytes } = await context.limits(limitsOf(args));
  await context.stepBack();
  stages.begin('connecting');
  const account = await accountOf(context, args);
  const job: RestoreJob = {
    run: await chooseRun(account, args.from),
    to,
    patterns,
    overwrite: args.overwrite,
    deletes: args.delete,
    isDryRun: args.dryRun,
    verifies: args.verify,
    numericOwner: args.numericOwner,
    memoryBytes,
  };
  const restoring = { job, account, other: args.account };
  if (job.deletes && !args.yes && !job.isDryRun) await confirmDeletion(context, restoring);
  const outcome = await perform(context, restoring);
  return { job, outcome, timings: timingsIf(args.timings) };
}

function targetOf({ to, inPlace }: RestoreArgs): string {
  if (inPlace !== (to === undefined)) {
    throw new AgentError(
      'USAGE',
      inPlace ? 'restore: --to and --in-place exclude each other' : 'restore: where to?',
      {
        hint: 'say --to DIR, or --in-place for where the files were',
      },
    );
  }
  return to ?? '/';
}

async function perform(context: CommandContext, { job, account, other }: Restoring): Promise<RestoreOutcome> {
  const { restoreRun } = await import('../restore/restore-run.ts');
  const { progress, signal } = context;
  return restoreRun(job, {
    account,
    target: await context.target(other),
    overflow: context.overflow,
    progress,
    signal,
  });
}

/** Looks first, so that the question says what would go. */
async function confirmDeletion(context: CommandContext, restoring: Restoring): Promise<void> {
  const { job } = restoring;
  const { pathText } = await import('../browse/path-text.ts');
  const { report } = await perform(context, {
    ...restoring,
    job: { ...job, isDryRun: true, verifies: false },
  });
  if (report.deleted === 0) return;
  const gone = report.planned.filter(({ change }) => change === 'delete').slice(0, 3);
  const examples = gone.map(({ path }) => pathText(path)).join(', ');
  await context.confirm(
    `Delete ${formatCounted(report.deleted, 'path')} that ${job.run} does not have (${examples}${report.deleted > gone.length ? ', …' : ''})?`,
  );
}

function render({ job, outcome: { report, seconds, unmatched }, timings }: Restored, screen: Screen): void {
  for (const { path, change } of report.planned) screen.line(`${WORDS[change]} /${screen.name(path)}`);
  for (const { path, reason } of report.damaged.items)
    screen.line(`damaged: /${screen.name(path)}: ${reason}`);
  for (const { text } of unmatched)
    screen.line(`not found: ${screen.name(Buffer.from(text))} is not in ${job.run}`);
  for (const warning of report.warnings()) screen.line(`warning: ${warning}`);
  const parts = [`${formatCounted(report.files, 'file')} (${formatBytes(report.bytes)})`];
  if (report.mended > 0) parts.push(`attributes of ${formatCounted(report.mended, 'path')}`);
  const kept =
    report.skipped > 0
      ? `, ${formatCounted(report.skipped, 'file')} left as ${report.skipped === 1 ? 'it was' : 'they were'}`
      : '';
  const deleted = report.deleted > 0 ? `, ${formatCounted(report.deleted, 'path')} deleted` : '';
  const what = `${parts.join(' and ')}${kept}${deleted}`;
  const where = job.to === '/' ? 'in place' : `below ${job.to}`;
  if (job.isDryRun) screen.line(`A restore of ${job.run} ${where} would write ${what}.`);
  else screen.line(`Restored ${job.run} ${where} in ${formatDuration(seconds * 1000)}: ${what}.`);
  const lost = report.damaged.count;
  if (lost > 0)
    screen.line(
      `${formatCounted(lost, 'file')} ${lost === 1 ? 'is' : 'are'} damaged on the storage and not restored.`,
    );
  if (timings) for (const line of timingLines(timings)) screen.line(line);
}

const WORDS = {
  create: 'create    ',
  replace: 'replace   ',
  attributes: 'attributes',
  delete: 'delete    ',
} as const;
