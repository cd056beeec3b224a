import { AgentError } from '../errors.ts';
import type { ServiceManager, UnitFile } from '../ports/service-manager.ts';
import { placeFlags } from './place-flags.ts';
import { fillInUnit, MADE_BY, TIMER_UNITS, unitName } from './timer-units.ts';

export interface TimerRequest {
  readonly configFile: string;
  readonly stateDir: string;
}

export interface InstalledTimer {
  readonly timer: string;
  /** Files that this call wrote. */
  readonly written: readonly string[];
  /** Units that this call enabled. */
  readonly enabled: readonly string[];
}

/** Before anything is done. @throws AgentError USAGE */
export async function mustHaveSystemd(manager: ServiceManager, request: TimerRequest): Promise<void> {
  unitName('bakker.timer', request.configFile);
  if (await manager.isThere()) return;
  throw new AgentError('USAGE', '--timer: systemd does not run this machine', {
    hint: `leave it out, and let cron start bakker, in /etc/cron.d/bakker: ${cronLine(manager.launcher, request)}`,
  });
}

/** A run that is published without some files (3) lets old runs go like a complete one. */
function cronLine(launcher: string, request: TimerRequest): string {
  const flags = `${placeFlags(request)} --quiet`;
  const retention = `${launcher} retention${flags} >/dev/null`;
  return `15 1 * * * root ${launcher} backup${flags}; case $? in 0 | 3) ${retention} ;; esac`;
}

/**
 * Installs and enables the timer of a configuration with what belongs to it. Run again, it changes only what is not right.
 *
 * @param confirm - asks before anything is changed
 * @throws AgentError CONFIG_INVALID if units of that name are somebody else's, STATE_UNUSABLE, NOT_CONFIRMED
 */
export async function installTimer(
  request: TimerRequest,
  { manager, confirm }: { manager: ServiceManager; confirm: (question: string) => Promise<void> },
): Promise<InstalledTimer> {
  const units = await Promise.all(TIMER_UNITS.map((name) => fillIn(name, { request, manager })));
  const missing: UnitFile[] = [];
  for (const unit of units) {
    const there = await manager.readUnit(unit.name);
    if (there === unit.text) continue;
    if (there !== undefined && !there.startsWith(MADE_BY)) throw notOurs(unit, manager);
    missing.push(unit);
  }
  const [timer, recover] = [nameOf('bakker.timer', request), nameOf('bakker-recover.service', request)];
  const disabled: string[] = [];
  for (const unit of [recover, timer]) if (!(await manager.isEnabled(unit))) disabled.push(unit);
  if (missing.length + disabled.length === 0) return { timer, written: [], enabled: [] };
  const names = missing.map(({ name }) => name);
  const acts = [
    ...(names.length === 0 ? [] : [`write ${names.join(', ')} in ${manager.unitFolder}`]),
    ...(disabled.length === 0 ? [] : [`enable ${disabled.join(' and ')}`]),
  ];
  await confirm(`Shall bakker ${acts.join(', and ')}?`);
  for (const unit of missing) await manager.writeUnit(unit);
  // also what is enabled already: it may not have been started, or be of an older file
  await manager.enable([recover, timer]);
  return { timer, written: names.map((name) => `${manager.unitFolder}/${name}`), enabled: disabled };
}

async function fillIn(
  template: (typeof TIMER_UNITS)[number],
  { request, manager }: { request: TimerRequest; manager: ServiceManager },
): Promise<UnitFile> {
  const text = await manager.template(template);
  return {
    name: nameOf(template, request),
    text: fillInUnit(text, { ...request, launcher: manager.launcher }),
  };
}

function nameOf(template: (typeof TIMER_UNITS)[number], { configFile }: TimerRequest): string {
  return unitName(template, configFile);
}

function notOurs({ name }: UnitFile, { unitFolder }: ServiceManager): AgentError {
  return new AgentError('CONFIG_INVALID', `${unitFolder}/${name} was not made by bakker init --timer`, {
    hint: 'look at it, move it away, and run this again',
  });
}
