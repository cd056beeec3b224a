import type { SpaceRules } from '../policy/account-policy.ts';
import type { AccountNotes } from './account-notes.ts';
import type { Space } from './backend.ts';

/** What holds for an account's sessions; undefined for what is not known, or not set. */
export interface SpaceOfAccount {
  /** With what its server asked for and was given by itself. */
  readonly limitBytes: number | undefined;
  readonly usedBytes: number | undefined;
  /** Below the limit; Infinity without one. */
  readonly belowLimitBytes: number;
  /** Below the limit, and on the disk. */
  readonly freeBytes: number | undefined;
}

/** Puts together what the disk, the policy and the notes of an account say. */
export function spaceOfAccount(from: {
  space: Space | undefined;
  policy: SpaceRules | undefined;
  notes: AccountNotes;
}): SpaceOfAccount {
  const { space, policy, notes } = from;
  const usedBytes = space?.usedBytes ?? notes.usedBytes;
  // A wish within the ceiling holds at once, without anybody writing account.yaml.
  const granted = Math.min(notes.grantedBytes, policy?.ceilingBytes ?? 0);
  const limitBytes = space?.limitBytes === undefined ? undefined : Math.max(space.limitBytes, granted);
  // an account whose first session is still to come is not counted yet
  const belowLimitBytes = limitBytes === undefined ? Infinity : Math.max(0, limitBytes - (usedBytes ?? 0));
  const freeBytes = space?.freeBytes === undefined ? undefined : Math.min(space.freeBytes, belowLimitBytes);
  return { limitBytes, usedBytes, belowLimitBytes, freeBytes };
}
