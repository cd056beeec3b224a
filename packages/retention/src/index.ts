export { PolicyError, type PolicyErrorCode } from './errors.ts';
export { planRetention, type RetainedRun, type Verdict } from './plan-retention.ts';
export { checkPolicy, type RetentionPolicy } from './policy.ts';
