import { PolicyError } from './errors.ts';

/** How much of the past is kept. A run is kept if any part says so. */
export interface RetentionPolicy {
  /** Every run younger than this many days. */
  readonly days: number;
  /** This many of the newest runs, whatever their age. */
  readonly instances: number;
  /** The newest run of each of this many months, counted back over months that have a run. */
  readonly months: number;
  /** The newest run of each of this many years, counted back over years that have a run. */
  readonly years: number;
  /** Why nothing may be removed for now; undefined when retention is not frozen. */
  readonly frozen?: string | undefined;
}

const PARTS = ['days', 'instances', 'months', 'years'] as const;
const MOST = 1_000_000;

/** @throws PolicyError `POLICY_INVALID` for a part that is no whole number from 0, `POLICY_EMPTY` if all parts are 0 */
export function checkPolicy(policy: RetentionPolicy): void {
  for (const part of PARTS) {
    const value = policy[part];
    if (Number.isInteger(value) && value >= 0 && value <= MOST) continue;
    throw new PolicyError(
      'POLICY_INVALID',
      `${part} must be a whole number from 0 to ${MOST}, not ${String(value)}`,
    );
  }
  if (PARTS.every((part) => policy[part] === 0)) {
    throw new PolicyError('POLICY_EMPTY', 'a policy of nothing but zeros would keep nothing');
  }
}
