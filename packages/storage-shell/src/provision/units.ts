import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';

export const UNIT_FOLDER = '/etc/systemd/system';

export async function hasSystemd(system: System): Promise<boolean> {
  return (await system.inspect('/run/systemd/system')) !== undefined;
}

/** A unit that comes with bakker, as it is there. @throws StorageError UNSUPPORTED if it is missing */
export async function unitTemplate(system: System, unit: string): Promise<string> {
  const path = `${system.unitTemplates}/${unit}`;
  const text = await system.readText(path);
  if (text !== undefined) return text;
  throw new StorageError('UNSUPPORTED', `${path} is not there`, { hint: 'install bakker anew' });
}

export async function isEnabled(system: System, unit: string): Promise<boolean> {
  return (await system.try(['systemctl', 'is-enabled', '--quiet', unit])).status === 0;
}
