import type { ManifestHeader } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';

/**
 * Why no file of the parent may be a file of this run, in words; undefined if it may. All files of a run are sealed to
 * the same keys, or none is: else a key that opens the run would not open all of it.
 *
 * @param recipients - ids of the keys that this run is sealed to; undefined for a clear one
 */
export function whyNotLinked(
  { run, recipients: theirs }: ManifestHeader,
  recipients: readonly string[] | undefined,
): string | undefined {
  if (recipients === undefined) {
    if (theirs === undefined) return undefined;
    return `run ${run} is sealed, and the configuration does not say encrypt: everything is sent anew, and can be read there`;
  }
  if (theirs === undefined) {
    return `run ${run} is not sealed: everything is sealed and sent anew; the runs that are there stay as they are`;
  }
  if (theirs.length === recipients.length && theirs.every((id, index) => id === recipients[index]))
    return undefined;
  return `run ${run} is not sealed to the same keys as new runs are: everything is sealed and sent anew`;
}

/**
 * What was sealed so far must not lie open because a configuration was written anew, on a new machine most likely: a storage
 * that only stores gives no run back.
 */
export function clearAfterSealed(run: string): AgentError {
  return new AgentError(
    'CONFIG_INVALID',
    `run ${run} is sealed, and the configuration does not say encrypt: everything could be read on the storage; nothing was sent`,
    {
      hint:
        'say "encrypt: true" in the configuration, and name the keys with bakker key add; ' +
        'if new runs are to lie open: bakker backup --allow-clear once',
    },
  );
}

/** What content is remembered under: what may be linked to each other has one name. */
export function linkableName(accountId: string, recipients: readonly string[] | undefined): string {
  return recipients === undefined ? accountId : `${accountId} sealed to ${recipients.join(' ')}`;
}
