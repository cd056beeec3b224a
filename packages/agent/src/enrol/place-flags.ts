import { shellQuoted } from './shell-words.ts';

/** Where a server keeps configuration and memory. */
export interface Places {
  readonly configFile: string;
  readonly stateDir: string;
}

/** The flags by which a printed command finds the same places, each with a space before it; empty for the usual ones. */
export function placeFlags({ configFile, stateDir }: Places): string {
  return [
    ...(configFile === '/etc/bakker/bakker.yaml' ? [] : [` --config ${shellQuoted(configFile)}`]),
    ...(stateDir === '/var/lib/bakker' ? [] : [` --state ${shellQuoted(stateDir)}`]),
  ].join('');
}
