import { AgentError } from '../errors.ts';

const LAUNCHER = '/usr/local/bin/bakker';
const CONFIG_FILE = '/etc/bakker/bakker.yaml';
const STATE_DIR = '/var/lib/bakker';
/** Names that units of bakker have already. */
const TAKEN = ['recover', 'notify', 'retention', 'scrub', 'grow'];

/** What the units of a server are made for. */
export interface TimerPlaces {
  readonly launcher: string;
  readonly configFile: string;
  readonly stateDir: string;
}

/** The units that make runs, in the form of the files that come with bakker. */
export const TIMER_UNITS = [
  'bakker.service',
  'bakker.timer',
  'bakker-recover.service',
  'bakker-notify@.service',
] as const;

/** Stands in the first line of what bakker wrote. */
export const MADE_BY = '# Made by bakker init --timer';

/**
 * The name of such a unit for a configuration: a second configuration `other.yaml` has `bakker-other.timer` and so on.
 *
 * @throws AgentError CONFIG_INVALID if the file's name can't be part of one
 */
export function unitName(template: string, configFile: string): string {
  if (configFile === CONFIG_FILE) return template;
  const name = configFile.replace(/^.*\//, '').replace(/\.ya?ml$/, '');
  if (!/^[A-Za-z0-9_-]+$/.test(name) || TAKEN.includes(name)) {
    throw new AgentError('CONFIG_INVALID', `${configFile}: no units can be named after it`, {
      hint: `give it another name, of letters, digits, - and _, and none of ${TAKEN.join(', ')}`,
    });
  }
  return template.replace(/^bakker/, `bakker-${name}`);
}

/** A unit as it comes with bakker, with its paths and names filled in. @throws AgentError CONFIG_INVALID */
export function fillInUnit(text: string, { launcher, configFile, stateDir }: TimerPlaces): string {
  for (const path of [launcher, configFile, stateDir]) {
    if (/^\/[\w/.@+-]+$/.test(path)) continue;
    throw new AgentError('CONFIG_INVALID', `${path} can't stand in a unit: it needs quoting`, {
      hint: 'use a path of letters, digits and . _ - @ +',
    });
  }
  const start = [
    launcher,
    ...(configFile === CONFIG_FILE ? [] : ['--config', configFile]),
    ...(stateDir === STATE_DIR ? [] : ['--state', stateDir]),
  ].join(' ');
  let filled = text.replaceAll(`${LAUNCHER} `, `${start} `).replaceAll(`${STATE_DIR}/`, `${stateDir}/`);
  // systemd makes that folder below /var/lib only
  if (stateDir !== STATE_DIR) filled = filled.replace(/^StateDirectory.*\n/gm, '');
  for (const unit of TIMER_UNITS.filter((name) => name !== 'bakker.service' && name !== 'bakker.timer')) {
    const stem = unit.replace(/(@?)\.service$/, '$1');
    filled = filled.replaceAll(stem, unitName(stem, configFile));
  }
  return `${MADE_BY}; changes belong into systemctl edit, since this file is written anew\n${filled}`;
}
