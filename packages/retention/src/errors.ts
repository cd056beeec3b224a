export type PolicyErrorCode = 'POLICY_INVALID' | 'POLICY_EMPTY' | 'RUNS_INVALID' | 'CLOCK_INVALID';

/** A policy, a list of runs or a time of day that no verdict should be built on. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly code: PolicyErrorCode;

  constructor(code: PolicyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
