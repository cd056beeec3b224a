import { AgentError } from '../../errors.ts';
import { run } from './child.ts';

/** A systemd unit, as far as it matters here. */
export interface UnitState {
  /** By which it was asked for, perhaps without its suffix, or an alias. */
  readonly unit: string;
  /** What systemd itself calls it. */
  readonly id: string;
  readonly isActive: boolean;
  readonly isFrozen: boolean;
  /** What systemd stops when this unit is stopped, and does not start again with it. */
  readonly stopsAlong: readonly string[];
}

interface Context {
  readonly signal: AbortSignal;
}

/** The other side of Requires=, Requisite=, BindsTo=, PartOf= and StopPropagatedFrom= (systemd.unit(5)). */
const STOPS_ALONG = ['RequiredBy', 'RequisiteOf', 'BoundBy', 'ConsistsOf', 'PropagatesStopTo'];
const PROPERTIES = ['Id', 'LoadState', 'ActiveState', 'FreezerState', ...STOPS_ALONG].join(',');
const ACTIVE = ['active', 'reloading', 'activating', 'refreshing'];

/** In the given order. @throws AgentError QUIESCE_FAILED if systemd does not know one of them */
export async function readUnits(units: readonly string[], context: Context): Promise<readonly UnitState[]> {
  const states: UnitState[] = [];
  for (const unit of units) {
    const state = await readUnit(unit, context);
    if (state === undefined) {
      throw new AgentError('QUIESCE_FAILED', `systemd has no unit ${unit}`, {
        hint: 'systemctl list-units shows their names',
      });
    }
    states.push(state);
  }
  return states;
}

/** The running units that systemd stops along with these, each behind one that it needs. */
export async function readStoppedAlong(
  units: readonly UnitState[],
  context: Context,
): Promise<readonly UnitState[]> {
  const found: UnitState[] = [];
  const seen = new Set(units.map(({ id }) => id));
  const toLookAt = [...units];
  for (const { stopsAlong } of toLookAt) {
    for (const unit of stopsAlong) {
      const state = seen.has(unit) ? undefined : await readUnit(unit, context);
      if (state === undefined || seen.has(state.id)) continue;
      seen.add(state.id);
      // through one that does not run, too: stopping goes on to those behind it
      toLookAt.push(state);
      if (state.isActive) found.push(state);
    }
  }
  return found;
}

/** Starting what runs already changes nothing. What was removed since is nothing to start. */
export async function startUnits(units: readonly string[], { signal }: Context): Promise<void> {
  const start = (some: readonly string[]) => run({ argv: ['systemctl', 'start', '--', ...some], signal });
  try {
    await start(units);
  } catch (error) {
    // looked at only now: they are waited for
    const known: string[] = [];
    for (const unit of units) if ((await readUnit(unit, { signal })) !== undefined) known.push(unit);
    if (known.length === units.length) throw error;
    if (known.length > 0) await start(known);
  }
}

/** What is not frozen, or not there any more after a restart of the machine, is left alone. */
export async function thawUnits(units: readonly string[], { signal }: Context): Promise<void> {
  const failures: string[] = [];
  for (const unit of units) {
    try {
      const state = await readUnit(unit, { signal });
      if (state?.isFrozen === true) await run({ argv: ['systemctl', 'thaw', '--', unit], signal });
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length > 0) throw new AgentError('QUIESCE_FAILED', failures.join('; '));
}

/** Undefined if systemd does not know it. */
async function readUnit(unit: string, { signal }: Context): Promise<UnitState | undefined> {
  const argv = ['systemctl', 'show', `--property=${PROPERTIES}`, '--', unit];
  const { stdout } = await run({ argv, signal });
  const values = new Map(
    stdout.split('\n').map((line) => {
      const end = line.indexOf('=');
      return [line.slice(0, end), line.slice(end + 1)] as const;
    }),
  );
  if (values.get('LoadState') !== 'loaded') return undefined;
  return {
    unit,
    id: values.get('Id') || unit,
    isActive: ACTIVE.includes(values.get('ActiveState') ?? ''),
    isFrozen: ['frozen', 'freezing'].includes(values.get('FreezerState') ?? ''),
    stopsAlong: STOPS_ALONG.flatMap((property) => values.get(property)?.split(' ') ?? []).filter(Boolean),
  };
}
