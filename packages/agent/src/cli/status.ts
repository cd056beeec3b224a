import { parseDurationMs } from '../config/durations.ts';
import { AgentError } from '../errors.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import type { Command } from './command.ts';
import { escapeText } from './escape-name.ts';
import { formatDate, formatDuration } from './format.ts';

interface StatusArgs {
  readonly maxAge: string;
}

export interface Status {
  /** `ok`, `late` (the last success is too old) or `never`. */
  readonly health: 'ok' | 'late' | 'never';
  readonly ageMs: number | undefined;
  readonly maxAgeMs: number;
  readonly last: LastRuns;
}

export const status: Command<StatusArgs, Status> = {
  usage: 'status',
  summary: 'Age and result of the last run, for people and monitoring',
  examples: [
    ['bakker status', 'exit 1 when no run succeeded in the last two days'],
    ['bakker status --max-age 26h --json', 'the same for a monitoring system'],
  ],
  positionals: {},
  flags: {
    'max-age': { type: 'string', default: '2d', describe: 'oldest last success that is fine: 26h, 2d' },
  },
  async run(context, args) {
    const maxAgeMs = parseDurationMs(args.maxAge);
    if (maxAgeMs === undefined || maxAgeMs === 0) {
      throw new AgentError('USAGE', `status: --max-age ${escapeText(args.maxAge)} is no time`, {
        hint: 'write 26h, 90m or 2d',
      });
    }
    const state = await context.state();
    return judge(await state.lastRuns(), maxAgeMs, context.clock.nowMs());
  },
  json({ health, ageMs, maxAgeMs, last }) {
    const { lastSuccess, lastAttempt, frozen } = last;
    return {
      health,
      ageSeconds: ageMs === undefined ? null : Math.round(ageMs / 1000),
      maxAgeSeconds: Math.round(maxAgeMs / 1000),
      lastSuccess:
        lastSuccess === undefined
          ? null
          : { run: lastSuccess.run, status: lastSuccess.status, ...isoTimes(lastSuccess) },
      lastAttempt:
        lastAttempt === undefined
          ? null
          : { ...isoTimes(lastAttempt), exitStatus: lastAttempt.exitStatus, message: lastAttempt.message },
      retentionFrozen: frozen ?? null,
    };
  },
  render({ health, ageMs, maxAgeMs, last }, screen) {
    const { lastSuccess, lastAttempt, frozen } = last;
    if (lastSuccess === undefined) screen.line('No backup of this machine has ever succeeded.');
    else {
      const age = ageMs === undefined ? '' : `, ${formatDuration(ageMs)} ago`;
      screen.line(
        `Last success: run ${lastSuccess.run}, ${lastSuccess.status}, ${formatDate(lastSuccess.finishedAtMs)}${age}.`,
      );
    }
    if (health === 'late') screen.line(`That is longer ago than ${formatDuration(maxAgeMs)}.`);
    if (lastAttempt !== undefined && lastAttempt.exitStatus !== 0) {
      const when = formatDate(lastAttempt.finishedAtMs);
      screen.line(
        `Last attempt: ${when}, exit status ${lastAttempt.exitStatus}: ${escapeText(lastAttempt.message)}`,
      );
    }
    if (frozen !== undefined) {
      screen.line(`Retention stands still since ${frozen.sinceRun}: ${escapeText(frozen.reason)}.`);
      screen.line('Look at that run; bakker retention --thaw goes on.');
    }
  },
  exitStatus: ({ health }) => (health === 'ok' ? 0 : 1),
};

/** A success dated in the future counts as fresh only as far as the clock's error is small; else nobody knows its age. */
export function judge(last: LastRuns, maxAgeMs: number, nowMs: number): Status {
  if (last.lastSuccess === undefined) return { health: 'never', ageMs: undefined, maxAgeMs, last };
  const ageMs = nowMs - last.lastSuccess.finishedAtMs;
  const isFine = ageMs <= maxAgeMs && ageMs >= -maxAgeMs;
  return { health: isFine ? 'ok' : 'late', ageMs: Math.max(0, ageMs), maxAgeMs, last };
}

function isoTimes(times: { startedAtMs: number; finishedAtMs: number }): {
  startedAt: string;
  finishedAt: string;
} {
  return {
    startedAt: new Date(times.startedAtMs).toISOString(),
    finishedAt: new Date(times.finishedAtMs).toISOString(),
  };
}
