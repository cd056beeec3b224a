export { PolicyError, type PolicyErrorCode } from './errors.ts';
export { mayGoNow } from './may-go-now.ts';
export { planRetention, type RetainedRun, type Verdict } from './plan-retention.ts';
export { removalOrder } from './removal-order.ts';
export { checkPolicy, type RetentionPolicy } from './policy.ts';
