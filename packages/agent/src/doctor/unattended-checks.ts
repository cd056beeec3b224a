import { unitName } from '../enrol/timer-units.ts';
import type { Machine } from '../ports/machine.ts';
import type { PendingUndo } from '../ports/undo-journal.ts';
import { describeStep } from '../undo/recover.ts';
import { ok, warn, type Finding } from './finding.ts';

/** Whether anything starts runs by itself. Nothing is said where neither systemd nor cron is known to. */
export async function checkTimer(configFile: string, machine: Machine): Promise<Finding[]> {
  const timer = unitName('bakker.timer', configFile);
  const isEnabled = await machine.isUnitEnabled(timer);
  if (isEnabled === true) return [ok('timer', `${timer} is enabled`)];
  if ((await machine.inspect('/etc/cron.d/bakker')) !== undefined)
    return [ok('timer', '/etc/cron.d/bakker is there')];
  if (isEnabled === undefined) return [];
  return [
    warn(
      'timer',
      `${timer} is not enabled: nothing starts a backup by itself`,
      'bakker init ACCOUNT --timer',
    ),
  ];
}

/** What runs have left to be undone; the steps of a run that is under way are among them. */
export function checkPending(pending: readonly PendingUndo[]): Finding[] {
  const [newest] = pending;
  if (newest === undefined) return [ok('leftovers', 'none of earlier runs')];
  const others = pending.length === 1 ? '' : ` (and ${pending.length - 1} more)`;
  return [
    warn(
      'leftovers',
      `still to be undone: ${describeStep(newest.step)}${others}`,
      'unless a backup is under way: bakker recover',
    ),
  ];
}
