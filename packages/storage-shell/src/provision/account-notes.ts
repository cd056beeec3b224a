import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';

/** What sessions, retention and scrub note about an account, besides its runs. */
export interface AccountNotes {
  readonly isFrozen: boolean;
  readonly isHurt: boolean;
  /** What its server asked for last, granted or not. */
  readonly requestedBytes: number | undefined;
  /** What of it was granted by itself, up to the ceiling. */
  readonly grantedBytes: number;
  /** As sessions and removals add it up. */
  readonly usedBytes: number | undefined;
}

/** Reads `.bakker/*.json`. A file that can't be understood is as if it were not there, but for the freeze. */
export async function readAccountNotes(system: System, folder: string): Promise<AccountNotes> {
  const read = async (name: string): Promise<Record<string, unknown> | undefined> =>
    parse(await readOwn(system, `${folder}/.bakker/${name}`));
  const wish = await read('space-request.json');
  const hurt = await readOwn(system, `${folder}/.bakker/hurt.json`);
  return {
    isFrozen: (await unlessFailed(system.inspect(`${folder}/.bakker/frozen.json`))) !== undefined,
    isHurt: hurt !== undefined && !saysNothing(hurt),
    requestedBytes: count(wish?.['requestedBytes']),
    grantedBytes: count(wish?.['grantedBytes']) ?? 0,
    usedBytes: count((await read('usage.json'))?.['usedBytes']),
  };
}

function readOwn(system: System, file: string): Promise<string | undefined> {
  return unlessFailed(system.readText(file));
}

async function unlessFailed<Value>(look: Promise<Value>): Promise<Value | undefined> {
  try {
    return await look;
  } catch (error) {
    // One account's damage must not hide the others.
    if (error instanceof StorageError) return undefined;
    throw error;
  }
}

/** scrub writes the file anew each time, also when all is well again. */
function saysNothing(text: string): boolean {
  const hurt = parse(text);
  return (
    hurt !== undefined && Object.values(hurt).every((value) => !Array.isArray(value) || value.length === 0)
  );
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined || text.length > 65_536) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
