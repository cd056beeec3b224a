import { escapeText } from '@bakker/command-line';
import type { NotifySettings } from '../config/notify-settings.ts';
import { NOBODY_TOLD } from '../config/notify-settings.ts';
import type { Told } from '../ports/notifier.ts';
import type { Outcome } from './outcome.ts';

/** `MONITOR_…` in the environment of a unit that systemd starts by `OnFailure=`; systemd.exec(5), since version 251. */
export type MonitorEnvironment = Readonly<Partial<Record<string, string>>>;

/** For a configuration that can't be read: whoever reads root's mail. */
export const toRoot: NotifySettings = {
  ...NOBODY_TOLD,
  mail: { on: ['failure'], to: ['root'], from: undefined, program: '/usr/sbin/sendmail', timeoutMs: 30_000 },
};

/** What systemd knows of a unit that failed. */
export function failedUnit(
  unit: string,
  { monitor, nowMs }: { monitor: MonitorEnvironment; nowMs: number },
): Outcome {
  const name = escapeText(unit);
  const result = monitor['MONITOR_SERVICE_RESULT'];
  const status = monitor['MONITOR_EXIT_STATUS'];
  const why = [result, monitor['MONITOR_EXIT_CODE'], status].filter(
    (word) => word !== undefined && word !== '',
  );
  const how = why.length === 0 ? '' : ` (${escapeText(why.join(' '))})`;
  return {
    kind: 'failure',
    exitStatus: status !== undefined && /^\d{1,3}$/.test(status) ? Number(status) : 1,
    message: `${name} failed${how}. journalctl -u ${name} says more.`,
    startedAtMs: nowMs,
    finishedAtMs: nowMs,
    ...(makesRuns(unit) ? {} : { unit: name }),
  };
}

/** Whether the run that failed has told so itself. */
export function isTold({ invocation }: Told, monitor: MonitorEnvironment): boolean {
  return invocation !== undefined && invocation === monitor['MONITOR_INVOCATION_ID'];
}

function makesRuns(unit: string): boolean {
  return /^bakker(-[\w-]+)?\.service$/.test(unit) && !/-(recover|retention|scrub|grow)\.service$/.test(unit);
}
