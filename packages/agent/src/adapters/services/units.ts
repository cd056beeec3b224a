import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../errors.ts';
import { run } from './child.ts';

/** A systemd unit, as far as it matters here. */
export interface UnitState {
  /** By which it was asked for, perhaps without its suffix, or an alias. */
  readonly unit: string;
  /** What systemd itself calls it. */
  readonly id: string;
  /** Whether there is a unit file that it can be started by: `loaded`, `not-found`, `masked`, `bad-setting` … (org.freedesktop.systemd1(5)). */
  readonly loadState: string;
  readonly isActive: boolean;
  /** Told to stop, and still running. */
  readonly isStopping: boolean;
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
/** Of a unit that nothing can start any more, as whoever removed or masked it wants. */
const REMOVED = ['not-found', 'masked'];
const LOOK_AGAIN_MS = 100;

/** In the given order. @throws AgentError QUIESCE_FAILED if systemd does not know one of them, or could not start it */
export async function readUnits(units: readonly string[], context: Context): Promise<readonly UnitState[]> {
  const states: UnitState[] = [];
  for (const unit of units) {
    const state = await readUnit(unit, context);
    if (state.loadState !== 'loaded') throw unusable(state);
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
      if (!state.isActive) continue;
      if (state.loadState !== 'loaded') throw unusable(state);
      found.push(state);
    }
  }
  return found;
}

/** `systemctl stop` waits for the unit that it names, not for those that systemd stops along with it. */
export async function untilStopped(units: readonly string[], { signal }: Context): Promise<void> {
  for (const unit of units)
    while ((await readUnit(unit, { signal })).isStopping) await sleep(LOOK_AGAIN_MS, undefined, { signal });
}

/** Starting what runs already changes nothing. What was removed since is nothing to start. */
export async function startUnits(units: readonly string[], { signal }: Context): Promise<void> {
  const start = (some: readonly string[]) => run({ argv: ['systemctl', 'start', '--', ...some], signal });
  try {
    await start(units);
  } catch (error) {
    // looked at only now: they are waited for
    const known: string[] = [];
    for (const unit of units)
      if (!REMOVED.includes((await readUnit(unit, { signal })).loadState)) known.push(unit);
    if (known.length === units.length) throw error;
    if (known.length > 0) await start(known);
  }
}

/** What is not frozen is left alone; what is frozen runs, also if its file was removed or masked since. */
export async function thawUnits(units: readonly string[], { signal }: Context): Promise<void> {
  const failures: string[] = [];
  for (const unit of units) {
    try {
      const { isFrozen } = await readUnit(unit, { signal });
      if (isFrozen) await run({ argv: ['systemctl', 'thaw', '--', unit], signal });
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length > 0) throw new AgentError('QUIESCE_FAILED', failures.join('; '));
}

/** @throws AgentError QUIESCE_FAILED if systemd does not tell: silence must not pass for a unit that is gone */
async function readUnit(unit: string, { signal }: Context): Promise<UnitState> {
  const argv = ['systemctl', 'show', `--property=${PROPERTIES}`, '--', unit];
  const { stdout } = await run({ argv, signal });
  const values = new Map(
    stdout.split('\n').map((line) => {
      const end = line.indexOf('=');
      return [line.slice(0, end), line.slice(end + 1)] as const;
    }),
  );
  const [loadState, activeState] = [values.get('LoadState'), values.get('ActiveState')];
  if (!loadState || !activeState) {
    throw new AgentError('QUIESCE_FAILED', `systemctl does not tell the state of ${unit}: ${stdout.trim()}`, {
      hint: `see what "systemctl show ${unit}" prints`,
    });
  }
  return {
    unit,
    id: values.get('Id') || unit,
    loadState,
    isActive: ACTIVE.includes(activeState),
    isStopping: activeState === 'deactivating',
    isFrozen: ['frozen', 'freezing'].includes(values.get('FreezerState') ?? ''),
    stopsAlong: STOPS_ALONG.flatMap((property) => values.get(property)?.split(' ') ?? []).filter(Boolean),
  };
}

function unusable({ unit, loadState, isActive }: UnitState): AgentError {
  if (loadState === 'not-found' && !isActive) {
    return new AgentError('QUIESCE_FAILED', `systemd has no unit ${unit}`, {
      hint: 'systemctl list-units shows their names',
    });
  }
  return new AgentError('QUIESCE_FAILED', `systemd could not start ${unit} again: it is ${loadState}`, {
    hint: `systemctl status ${unit} says why`,
  });
}
