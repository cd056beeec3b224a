import { formatCounted } from '@bakker/command-line';
import { pathJson } from '../browse/path-text.ts';
import { AgentError, EXIT_STATUS } from '../errors.ts';
import type { RunVerdict } from '../verify/verify-run.ts';
import { holdRuns } from '../retain/hold-runs.ts';
import type { Command, CommandContext } from './command.ts';
import { EMPTIED_HINT, explainEmptied } from './emptied-account.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

interface VerifyArgs extends ReadingArgs {
  readonly from: string;
  readonly data: boolean;
  readonly sample?: string;
  readonly seed?: string;
}

interface Verified {
  readonly runs: readonly RunVerdict[];
  /** Sealed to keys that were not given. */
  readonly unopened: readonly { readonly run: string; readonly error: AgentError }[];
  /** Undefined unless a sample was read. */
  readonly seed: string | undefined;
}

export const verify: Command<VerifyArgs, Verified> = {
  usage: 'verify',
  summary: 'Compare runs on the storage with their manifests',
  examples: [
    ['bakker verify', 'every file of every run is there, with its size and its hard links'],
    ['bakker verify --from latest --data', 'read all contents of the newest run and compare their hashes'],
    ['bakker verify --sample 5%', 'read one file in twenty, others each time'],
  ],
  positionals: {},
  flags: {
    ...ACCOUNT_FLAG,
    from: { type: 'string', requiresArg: true, default: 'all', describe: 'all, latest, a run, or a date' },
    data: { type: 'boolean', describe: 'read all contents and compare their hashes' },
    sample: { type: 'string', requiresArg: true, describe: 'read the contents of a share of the files: 5%' },
    seed: {
      type: 'string',
      requiresArg: true,
      describe: 'choose the same files as the run that printed this seed',
    },
  },
  async run(context, args) {
    // runs of another account are not removed from here
    using _held = args.account === undefined ? await holdRuns(await context.readingLock(), context) : null;
    return await compareRuns(context, args);
  },
  json: ({ runs, unopened, seed }) => ({
    runs: runs.map((verdict) => ({
      run: verdict.run,
      checked: verdict.checked,
      damaged: [
        ...(verdict.manifestProblem === undefined
          ? []
          : [{ path: `${verdict.run}.impl`, reason: verdict.manifestProblem }]),
        ...verdict.damaged.items.map(({ path, reason }) => ({ ...pathJson(path), reason })),
      ],
    })),
    ...(unopened.length === 0 ? {} : { unopened: unopened.map(({ run }) => run) }),
    ...(seed === undefined ? {} : { seed }),
  }),
  render({ runs, unopened, seed }, screen) {
    for (const verdict of runs) {
      if (verdict.manifestProblem !== undefined) screen.line(`${verdict.run}: ${verdict.manifestProblem}`);
      for (const { path, reason } of verdict.damaged.items)
        screen.line(`${verdict.run}: /${screen.name(path)}: ${reason}`);
      const rest = verdict.damaged.count - verdict.damaged.items.length;
      if (rest > 0) screen.line(`${verdict.run}: and ${rest} more`);
      const read = verdict.read > 0 ? `, contents of ${formatCounted(verdict.read, 'file')} read` : '';
      const state = isDamaged(verdict) ? 'DAMAGED' : 'sound';
      const gone = verdict.parent?.state === 'gone' ? `; its parent ${verdict.parent.parent} is gone` : '';
      screen.line(
        `${verdict.run}: ${state}; ${formatCounted(verdict.checked, 'path')} compared${read}${gone}.`,
      );
    }
    for (const { error } of unopened) screen.line(`${error.message}: it was not compared.`);
    if (unopened.length > 0)
      screen.line(
        'Give the keys of all runs (--identity-key several times), or name a run that yours opens (--from).',
      );
    if (runs.length === 0) screen.line('There is no complete run yet.');
    if (seed !== undefined) screen.line(`The same files again: --seed ${seed}`);
  },
  exitStatus({ runs, unopened }) {
    if (runs.some(isDamaged)) return EXIT_STATUS.VERIFY_DAMAGED;
    return unopened.length > 0 ? EXIT_STATUS.KEY_WRONG : 0;
  },
};

/** Apart from `run`: beside a `using`, TypeScript leaves the names of modules that are imported here as they stand. */
async function compareRuns(context: CommandContext, args: VerifyArgs): Promise<Verified> {
  const { chooseRuns } = await import('../browse/choose-run.ts');
  const { verifyRun } = await import('../verify/verify-run.ts');
  const { ParentChain } = await import('../verify/parent-chain.ts');
  const { ReadInodes } = await import('../verify/read-inodes.ts');
  const { parseShare } = await import('../verify/sample.ts');
  const share = args.data ? 1 : args.sample === undefined ? 0 : parseShare(args.sample);
  const seed = args.seed ?? (await randomSeed());
  const sample = share === 0 ? undefined : { share, seed };
  const { progress, signal, overflow } = context;
  const account = await accountOf(context, args);
  const readInodes = new ReadInodes();
  const runs: RunVerdict[] = [];
  const unopened: { run: string; error: AgentError }[] = [];
  const all = await chooseRuns(account, 'all');
  if (all.length === 0) await refuseEmptied(context, account.address);
  const chain = new ParentChain(all);
  for (const run of args.from === 'all' ? all : await chooseRuns(account, args.from)) {
    progress.stage(`verifying ${run}`);
    const receipt = await account.receipt(run);
    if (receipt)
      progress.expect({ files: receipt.files, ...(share === 1 ? { bytes: receipt.sourceBytes } : {}) });
    try {
      runs.push(await verifyRun({ run, sample, readInodes, chain }, { account, progress, signal, overflow }));
    } catch (error) {
      // keys change over the years: those of the oldest run may be in a safe
      if (!(error instanceof AgentError) || error.code !== 'KEY_WRONG') throw error;
      unopened.push({ run, error });
    }
  }
  const [first] = unopened;
  if (first && runs.length === 0) throw first.error;
  return { runs, unopened, seed: sample !== undefined && share < 1 ? seed : undefined };
}

/** No run is there: that is well only if none ever was. @throws AgentError STORAGE_SUSPICIOUS */
async function refuseEmptied(context: CommandContext, address: string): Promise<void> {
  const reason = await explainEmptied(context, address);
  if (reason !== undefined) throw new AgentError('STORAGE_SUSPICIOUS', reason, { hint: EMPTIED_HINT });
}

function isDamaged({ damaged, manifestProblem }: RunVerdict): boolean {
  return damaged.count > 0 || manifestProblem !== undefined;
}

async function randomSeed(): Promise<string> {
  const { randomBytes } = await import('node:crypto');
  return randomBytes(8).toString('hex');
}
