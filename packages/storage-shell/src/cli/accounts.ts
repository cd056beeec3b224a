import { formatSpace, formatCount, formatDate, tableLines } from '@bakker/command-line';
import type { AccountOverview } from '../provision/overview.ts';
import { ETC_FLAG, openTools } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly etc: string;
}

export const accounts: Command<Args, readonly AccountOverview[]> = {
  usage: 'accounts',
  summary: 'Show every account: runs, space, last run, state',
  examples: [['bakker-storage accounts', 'what needs an eye is in the last column']],
  positionals: {},
  flags: { ...ETC_FLAG },
  async run(context, { etc }) {
    const { overview } = await import('../provision/overview.ts');
    const { registry } = await openTools(context, etc);
    return overview(registry);
  },
  json: (found) =>
    found.map(({ lastReceivedAtMs, ...rest }) => ({
      ...rest,
      lastReceivedAt: lastReceivedAtMs === null ? null : new Date(lastReceivedAtMs).toISOString(),
    })),
  render(found, screen) {
    if (found.length === 0) {
      screen.line(screen.typedHere('There is no account yet: bakker-storage provision NAME'));
      return;
    }
    const bytes = (count: number | null): string => (count === null ? '-' : formatSpace(count));
    const rows = found.map((account) => [
      account.account,
      account.backend,
      bytes(account.limitBytes),
      bytes(account.usedBytes),
      bytes(account.freeBytes),
      formatCount(account.runs),
      account.lastRun ?? '-',
      account.lastReceivedAtMs === null ? '-' : formatDate(account.lastReceivedAtMs),
      `${account.keys.length}${account.grants.length === 0 ? '' : ` + ${account.grants.length}`}`,
      account.requestedBytes === null
        ? account.states.join(', ')
        : account.states
            .join(', ')
            .replace('space requested', `asks for ${formatSpace(account.requestedBytes)}`),
    ]);
    const head = [
      'account',
      'backend',
      'size',
      'used',
      'free',
      'runs',
      'last run',
      'received',
      'keys',
      'state',
    ];
    for (const line of tableLines([head, ...rows], { rightAligned: [2, 3, 4, 5] })) screen.line(line);
  },
};
