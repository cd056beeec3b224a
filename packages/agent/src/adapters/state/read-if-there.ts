import { hasCode } from '@bakker/linux';
import { readFileSync } from 'node:fs';

/** Undefined if there is no such file. @throws errno errors */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
