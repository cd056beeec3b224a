import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NotifyMemory, Told } from '../../ports/notifier.ts';
import { writeWhole } from './whole-file.ts';

const VERSION = 1;

/** `notify.json` in the state folder. */
export function fileMemory(stateDir: string): NotifyMemory {
  const file = join(stateDir, 'notify.json');
  return {
    read: async () => {
      try {
        const value: unknown = JSON.parse(await readFile(file, 'utf8'));
        return isTold(value) ? value : {};
      } catch {
        return {};
      }
    },
    save: async (told) => {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeWhole(file, `${JSON.stringify({ version: VERSION, ...told })}\n`, 0o600);
    },
  };
}

/** Only bakker writes it, in one form for each version. */
function isTold(value: unknown): value is Told {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === VERSION;
}
