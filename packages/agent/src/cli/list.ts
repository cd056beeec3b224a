import { formatBytes, formatCount, formatDate, formatDuration, tableLines } from '@bakker/command-line';
import type { RunSummary } from '../browse/list-runs.ts';
import type { Command } from './command.ts';
import { EMPTIED_HINT, explainEmptied } from './emptied-account.ts';
import { ACCOUNT_FLAG, accountOf } from './other-account.ts';
import type { ReadingArgs } from './other-account.ts';

export const list: Command<ReadingArgs, readonly RunSummary[]> = {
  usage: 'list',
  summary: 'Show the runs',
  examples: [['bakker list', 'oldest first, with what each added']],
  positionals: {},
  flags: { ...ACCOUNT_FLAG },
  async run(context, args) {
    const { listRuns } = await import('../browse/list-runs.ts');
    const account = await accountOf(context, args);
    const runs = await listRuns(account);
    if (runs.length === 0) {
      const reason = await explainEmptied(context, account.address);
      if (reason !== undefined) context.progress.warning(`${reason}: ${EMPTIED_HINT}`);
    }
    return runs;
  },
  json: (runs) =>
    runs.map(({ run, status, startedAtMs, finishedAtMs, files, sourceBytes, addedBytes, verdict }) => ({
      run,
      status,
      startedAt: iso(startedAtMs),
      finishedAt: iso(finishedAtMs),
      files,
      bytes: { source: sourceBytes, added: addedBytes },
      ...(verdict === undefined ? {} : { storage: verdict }),
    })),
  render(runs, screen) {
    if (runs.length === 0) {
      screen.line(screen.typedHere('There is no run; bakker backup makes one.'));
      return;
    }
    const rows = runs.map((run) => [
      run.run,
      run.status,
      run.startedAtMs === null ? '-' : formatDate(run.startedAtMs),
      run.startedAtMs === null || run.finishedAtMs === null
        ? '-'
        : formatDuration(run.finishedAtMs - run.startedAtMs),
      run.files === null ? '-' : formatCount(run.files),
      run.sourceBytes === null ? '-' : formatBytes(run.sourceBytes),
      run.addedBytes === null ? '-' : formatBytes(run.addedBytes),
      remarks(run),
    ]);
    const lines = tableLines([['run', 'status', 'started', 'took', 'files', 'size', 'added', ''], ...rows], {
      rightAligned: [4, 5, 6],
    });
    for (const line of lines) screen.line(line);
  },
};

/** What stands out; that a run is kept as it should be does not. */
function remarks({ isLatest, verdict }: RunSummary): string {
  const { keeps, hurtFiles = 0, isManifestHurt = false } = verdict ?? {};
  return [
    ...(isLatest ? ['latest'] : []),
    ...(isManifestHurt ? ['its manifest is damaged on the storage'] : []),
    ...(hurtFiles > 0 ? [`${formatCount(hurtFiles)} damaged on the storage`] : []),
    ...(keeps === false ? ['goes soon'] : []),
  ].join(', ');
}

function iso(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
