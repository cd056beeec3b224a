import type { SystemdSettings } from '../../config/service-settings.ts';
import { AgentError } from '../../errors.ts';
import type { PreparedService, ServiceContext } from '../../ports/services.ts';
import { run } from './child.ts';
import { readStoppedAlong, readUnits, startUnits, thawUnits, untilStopped } from './units.ts';

/**
 * Units that are stopped and started, or frozen and thawed. Those that do not run are left as they are. What systemd stops
 * along with one, because it needs it, is started again with it.
 */
export async function prepareUnits(
  { units, by }: SystemdSettings,
  { timeoutMs, signal }: ServiceContext & { timeoutMs: number },
): Promise<PreparedService> {
  const states = await readUnits(units, { signal });
  const frozen = states.find(({ isFrozen }) => isFrozen);
  if (frozen !== undefined) {
    throw new AgentError('QUIESCE_FAILED', `${frozen.unit} is frozen already, by somebody else`, {
      hint: `systemctl thaw ${frozen.unit} lets it run again`,
    });
  }
  const active = states.filter(({ isActive }) => isActive);
  if (active.length === 0) return nothingRuns(units);
  const running = active.map(({ unit }) => unit);
  const along = by === 'stop' ? await readStoppedAlong(active, { signal }) : [];
  const others = along.map(({ id }) => id);
  // those that need others last
  const released = [...running.toReversed(), ...others];
  const verb = by === 'stop' ? 'start' : 'thaw';
  return {
    undo: {
      kind: `${verb}-units`,
      what: `${verb} ${[...running, ...others].join(', ')}`,
      units: released,
      timeoutMs,
    },
    standsStill: true,
    enter: async (context) => {
      // one after the other: units that need each other are stopped in the configured order
      for (const unit of running) await run({ argv: ['systemctl', by, '--', unit], signal: context.signal });
      if (by === 'stop') await untilStopped([...units, ...others], context);
    },
    leave: (context) => (by === 'stop' ? startUnits : thawUnits)(released, context),
    stoodStill: (context) =>
      by === 'stop'
        ? expectStopped([...units, ...others], context)
        : expectFrozen(running, { units, context }),
    files: () => [],
  };
}

function nothingRuns(units: readonly string[]): PreparedService {
  return {
    undo: undefined,
    standsStill: false,
    enter: (context) => untilStopped(units, context),
    leave: () => Promise.resolve(),
    stoodStill: (context) => expectStopped(units, context),
    files: () => [],
  };
}

async function expectStopped(units: readonly string[], context: ServiceContext): Promise<void> {
  const woken = (await readUnits(units, context)).find(({ isActive }) => isActive);
  if (woken !== undefined) throw hasRun(woken.unit);
}

async function expectFrozen(
  frozen: readonly string[],
  { units, context }: { units: readonly string[]; context: ServiceContext },
): Promise<void> {
  const woken = (await readUnits(units, context)).find(({ unit, isActive, isFrozen }) =>
    frozen.includes(unit) ? !isFrozen : isActive,
  );
  if (woken !== undefined) throw hasRun(woken.unit);
}

function hasRun(unit: string): AgentError {
  return new AgentError('QUIESCE_FAILED', `${unit} ran before the snapshot was there: somebody started it`, {
    hint: 'stop what starts it as well (a socket, a timer, another unit), by a place before it in "units"',
  });
}
