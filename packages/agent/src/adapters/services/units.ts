import { AgentError } from '../../errors.ts';
import { run } from './child.ts';

/** A systemd unit, as far as it matters here. */
export interface UnitState {
  readonly unit: string;
  readonly isActive: boolean;
  readonly isFrozen: boolean;
}

interface Context {
  readonly signal: AbortSignal;
}

/** In the given order. @throws AgentError QUIESCE_FAILED if systemd does not know one of them */
export async function readUnits(
  units: readonly string[],
  { signal }: Context,
): Promise<readonly UnitState[]> {
  const states: UnitState[] = [];
  for (const unit of units) {
    const argv = ['systemctl', 'show', '--property=LoadState,ActiveState,FreezerState', '--', unit];
    const { stdout } = await run({ argv, signal });
    const has = (line: string): boolean => stdout.split('\n').includes(line);
    if (!has('LoadState=loaded')) {
      throw new AgentError('QUIESCE_FAILED', `systemd has no unit ${unit}`, {
        hint: 'systemctl list-units shows their names',
      });
    }
    const isActive = ['active', 'reloading', 'activating', 'refreshing'].some((state) =>
      has(`ActiveState=${state}`),
    );
    states.push({ unit, isActive, isFrozen: has('FreezerState=frozen') || has('FreezerState=freezing') });
  }
  return states;
}

/** Starting what runs already changes nothing. */
export async function startUnits(units: readonly string[], { signal }: Context): Promise<void> {
  await run({ argv: ['systemctl', 'start', '--', ...units], signal });
}

/** What is not frozen, or not there any more after a restart of the machine, is left alone. */
export async function thawUnits(units: readonly string[], { signal }: Context): Promise<void> {
  const failures: string[] = [];
  for (const unit of units) {
    try {
      const [state] = await readUnits([unit], { signal });
      if (state?.isFrozen === true) await run({ argv: ['systemctl', 'thaw', '--', unit], signal });
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length > 0) throw new AgentError('QUIESCE_FAILED', failures.join('; '));
}
