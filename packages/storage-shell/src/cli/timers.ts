import { StorageError } from '../errors.ts';
import type { StepOutcome } from '../provision/steps.ts';
import type { TimerState } from '../provision/timers.ts';
import { DRY_RUN_FLAG, ETC_FLAG, isChanged, openTools, renderSteps, stepsJson } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly enable: boolean;
  readonly disable: boolean;
  readonly dryRun: boolean;
  readonly etc: string;
}

interface Timers {
  readonly timers: readonly TimerState[];
  readonly steps: readonly StepOutcome[];
}

export const timers: Command<Args, Timers> = {
  usage: 'timers',
  summary: 'Let systemd retire runs, check files and grant space by itself',
  examples: [
    ['bakker-storage timers', 'which are enabled'],
    ['bakker-storage timers --enable', 'install and start retention, scrub and grow'],
    ['bakker-storage timers --disable', 'stop them, and remove what --enable wrote'],
  ],
  positionals: {},
  flags: {
    enable: { type: 'boolean', describe: 'install and start all of them' },
    disable: { type: 'boolean', describe: 'stop them, and remove what --enable wrote' },
    ...DRY_RUN_FLAG,
    ...ETC_FLAG,
  },
  async run(context, { enable, disable, dryRun, etc }) {
    if (enable && disable)
      throw new StorageError('USAGE', 'timers: --enable and --disable exclude each other');
    const { disableTimers, enableTimers, timerStates } = await import('../provision/timers.ts');
    const tools = await openTools(context, etc);
    const request = { rootDir: context.rootDir, etc, isDryRun: dryRun };
    const steps = enable
      ? await enableTimers(request, tools)
      : disable
        ? await disableTimers(request, tools)
        : [];
    return { steps, timers: await timerStates(tools) };
  },
  json: ({ timers, steps }) => ({
    timers: timers.map(({ timer, isEnabled }) => ({ timer, enabled: isEnabled })),
    changed: isChanged(steps),
    steps: stepsJson(steps),
  }),
  render({ timers, steps }, screen) {
    renderSteps(steps, screen);
    for (const { timer, isEnabled } of timers)
      screen.line(`${timer}  ${isEnabled ? 'enabled' : 'not enabled'}`);
    if (steps.length === 0 && timers.some(({ isEnabled }) => !isEnabled))
      screen.line(screen.typedHere('bakker-storage timers --enable installs and starts them.'));
  },
};
