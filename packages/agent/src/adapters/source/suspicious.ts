import { AgentError } from '../../errors.ts';
import { showPath } from '../../source/show-path.ts';

/** A source that can't be backed up as the administrator meant it: no run is published. `what` completes the sentence. */
export function suspicious(
  path: Uint8Array,
  what: string,
  extra: { hint: string; cause?: unknown },
): AgentError {
  return new AgentError('SOURCE_SUSPICIOUS', `the source ${showPath(path)} ${what}`, extra);
}
