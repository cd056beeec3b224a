/** How much of the past is kept; see packages/retention. */
export interface RetentionRules {
  readonly days: number;
  readonly instances: number;
  readonly months: number;
  readonly years: number;
}

/** What makes retention stand still until an administrator has looked. */
export interface FreezeRules {
  /** A run that lost or rewrote more than this share (0 to 1) of its parent's files freezes. */
  readonly goneShare: number;
  /** Parents with fewer files never freeze by their share. */
  readonly minFiles: number;
  /** More runs than this within 24 hours freeze. */
  readonly maxRunsADay: number;
}

/** What the account may take. Undefined: no limit of the shell's own, or its default. */
export interface SpaceRules {
  /** Blocks that the account's runs may take. */
  readonly limitBytes: number | undefined;
  /** Kept free on the volume, so that publishing and deleting still work. */
  readonly reserveBytes: number | undefined;
  /** `request-space` is granted up to here without an administrator. */
  readonly ceilingBytes: number | undefined;
}

export interface TrashRules {
  /** How long a removed run can be brought back; 0 for not at all. */
  readonly keepHours: number;
}

/**
 * `.bakker/account.yaml`, checked: nothing in it needs to be looked at again. Deeply frozen. Written by the storage's
 * administrator; the account's server can't change it.
 */
export interface AccountPolicy {
  readonly retention: RetentionRules;
  readonly freeze: FreezeRules;
  readonly space: SpaceRules;
  readonly trash: TrashRules;
}

/** What holds where account.yaml says nothing, and where there is none. */
export const DEFAULT_POLICY: AccountPolicy = Object.freeze({
  retention: Object.freeze({ days: 14, instances: 7, months: 12, years: 4 }),
  freeze: Object.freeze({ goneShare: 0.5, minFiles: 100, maxRunsADay: 24 }),
  space: Object.freeze({ limitBytes: undefined, reserveBytes: undefined, ceilingBytes: undefined }),
  trash: Object.freeze({ keepHours: 24 }),
});
