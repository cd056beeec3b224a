import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import { fileStep } from './file-steps.ts';
import { mustBeRoot } from './installation.ts';
import { isPlainPath } from './places.ts';
import type { ProvisionTools } from './provision.ts';
import { runSteps } from './steps.ts';
import type { Step, StepOutcome } from './steps.ts';
import { hasSystemd, isEnabled, UNIT_FOLDER, unitTemplate } from './units.ts';

/** What a storage does by itself: units that come with bakker, each with its timer. */
export const TIMERS = ['bakker-retention', 'bakker-scrub', 'bakker-grow'] as const;
const MADE_BY = '# Made by bakker-storage timers';

export interface TimersRequest {
  readonly rootDir: string;
  readonly etc: string;
  readonly isDryRun: boolean;
  readonly unitFolder?: string;
}

export interface TimerState {
  readonly timer: string;
  readonly isEnabled: boolean;
}

/** Which are enabled. @throws StorageError UNSUPPORTED without systemd */
export async function timerStates({ registry }: ProvisionTools): Promise<TimerState[]> {
  const { system } = registry;
  await mustHaveSystemd(system);
  return Promise.all(
    TIMERS.map(async (name) => ({
      timer: `${name}.timer`,
      isEnabled: await isEnabled(system, `${name}.timer`),
    })),
  );
}

/**
 * Writes the units with this installation's paths, enables and starts the timers; what is right already is left alone.
 *
 * @throws StorageError UNSUPPORTED without systemd, or if a unit of that name is somebody else's
 */
export async function enableTimers(request: TimersRequest, tools: ProvisionTools): Promise<StepOutcome[]> {
  const { system } = tools.registry;
  mustBeRoot(system);
  await mustHaveSystemd(system);
  const folder = request.unitFolder ?? UNIT_FOLDER;
  const files: Step[] = [];
  for (const name of TIMERS) {
    for (const unit of [`${name}.service`, `${name}.timer`])
      files.push(await unitStep(unit, { request, folder, system }));
  }
  const reload: Step = {
    title: 'let systemd read the units',
    lines: ['systemctl daemon-reload'],
    isDone: () => knowsFiles(system),
    do: async () => {
      await system.run(['systemctl', 'daemon-reload']);
    },
  };
  const enabling = TIMERS.map((name): Step => {
    const argv = ['systemctl', 'enable', '--now', `${name}.timer`];
    return {
      title: `enable ${name}.timer`,
      lines: [argv.join(' ')],
      isDone: () => isEnabled(system, `${name}.timer`),
      do: async () => {
        await system.run(argv);
      },
      undo: async () => {
        await system.try(['systemctl', 'disable', '--now', `${name}.timer`]);
      },
    };
  });
  return runSteps([...files, reload, ...enabling], {
    isDryRun: request.isDryRun,
    signal: tools.signal,
    note: tools.note,
  });
}

/** Stops and disables the timers, and removes the units that were made here. */
export async function disableTimers(request: TimersRequest, tools: ProvisionTools): Promise<StepOutcome[]> {
  const { system } = tools.registry;
  mustBeRoot(system);
  await mustHaveSystemd(system);
  const folder = request.unitFolder ?? UNIT_FOLDER;
  const steps = TIMERS.flatMap((name): Step[] => [
    {
      title: `disable ${name}.timer`,
      lines: [`systemctl disable --now ${name}.timer`],
      isDone: async () => !(await isEnabled(system, `${name}.timer`)),
      do: async () => {
        await system.run(['systemctl', 'disable', '--now', `${name}.timer`]);
      },
    },
    ...[`${name}.service`, `${name}.timer`].map((unit): Step => {
      const path = `${folder}/${unit}`;
      return {
        title: `remove ${path}`,
        lines: [`rm ${path}`],
        isDone: async () => (await system.readText(path))?.startsWith(MADE_BY) !== true,
        do: () => system.removeFile(path),
      };
    }),
  ]);
  return runSteps(steps, { isDryRun: request.isDryRun, signal: tools.signal, note: tools.note });
}

async function unitStep(
  unit: string,
  about: { request: TimersRequest; folder: string; system: System },
): Promise<Step> {
  const { request, folder, system } = about;
  const path = `${folder}/${unit}`;
  const template = await unitTemplate(system, unit);
  const wanted = fillIn(template, { ...request, launcher: system.launcher });
  const existing = await system.readText(path);
  if (existing !== undefined && !existing.startsWith(MADE_BY)) {
    throw new StorageError('UNSUPPORTED', `${path} was not made by bakker-storage timers`, {
      hint: 'look at it, move it away, and run this again',
    });
  }
  return fileStep(system, {
    title: `write ${path}`,
    path,
    text: () => wanted,
    options: () => ({ mode: 0o644 }),
  });
}

function fillIn(
  text: string,
  { launcher, rootDir, etc }: { launcher: string; rootDir: string; etc: string },
): string {
  for (const path of [launcher, rootDir, etc]) {
    if (isPlainPath(path)) continue;
    throw new StorageError('UNSUPPORTED', `${path} can't stand in a unit: it needs quoting`);
  }
  const root = rootDir === '/backups' ? '' : ` --root ${rootDir}`;
  const places = etc === '/etc/bakker-storage' ? '' : ` --etc ${etc}`;
  const filled = text
    .replace(/^(ExecStart=\S+ grow .*)$/m, `$1${places}`)
    .replaceAll('/usr/local/bin/bakker-storage ', `${launcher}${root} `)
    .replace(/^(RequiresMountsFor=|ReadWritePaths=-)\/backups$/gm, `$1${rootDir}`);
  return `${MADE_BY}; changes belong into systemctl edit, since this file is written anew\n${filled}`;
}

/** systemd compares what it has read with what is there now. */
async function knowsFiles(system: System): Promise<boolean> {
  const units = TIMERS.flatMap((name) => [`${name}.service`, `${name}.timer`]);
  const shown = await system.try(['systemctl', 'show', '--property=NeedDaemonReload', '--value', ...units]);
  return shown.status === 0 && !/yes/.test(shown.stdout);
}

async function mustHaveSystemd(system: System): Promise<void> {
  if (await hasSystemd(system)) return;
  throw new StorageError('UNSUPPORTED', 'systemd does not run this machine', {
    hint: `let cron run: ${system.launcher} retention --all, scrub --all --budget 30m (each once a day), grow --requested (every quarter of an hour)`,
  });
}
