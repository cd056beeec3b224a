import type { System } from '../ports/system.ts';
import type { AccountNotes } from './overview.ts';

/** What sessions, retention and scrub left in an account's private folder. */
export async function readAccountNotes(system: System, folder: string): Promise<AccountNotes> {
  return { isFrozen: false, isHurt: false, requestedBytes: undefined, usedBytes: undefined };
}
