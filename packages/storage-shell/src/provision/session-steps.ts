import type { AccountName } from './account-name.ts';
import type { AccountRecord } from './account-record.ts';
import { recordChangeSteps, recordStep, withoutUndo } from './change-records.ts';
import { readGroups, recordFile, staleKeyFiles } from './registry.ts';
import type { Registry } from './registry.ts';
import type { Step } from './steps.ts';
import { isAccountUser } from './user-steps.ts';

const OWN_KEY = 'key ';

/**
 * Takes access away: the record first, which says until the end whose sessions may be left, then key files, then sessions,
 * since sshd looks at a key only when a session begins. A call that was cut off anywhere is completed by the next.
 *
 * @param changed - with the `ending` of what is taken back, or of an earlier call; empty if all of it ended
 */
export async function accessEndSteps(
  registry: Registry,
  { changed, records, title }: { changed: AccountRecord; records: readonly AccountRecord[]; title: string },
): Promise<Step[]> {
  const { name } = changed;
  const after = records.map((record) => (record.name === name ? changed : record));
  const ended = new Set<AccountName>([name]);
  for (const { record } of await staleKeyFiles(registry, { records: after })) ended.add(record.name);
  // Key files that an earlier call has written are no longer stale.
  if ((changed.ending ?? []).some((taken) => taken.startsWith(OWN_KEY)))
    for (const reader of await accountsGrantedTo(registry, { name, records })) ended.add(reader);
  const { ending: _ended, ...settled } = changed;
  return [
    ...(await recordChangeSteps(registry, { changed: [changed], title })),
    endSessionsStep(registry, [...ended]),
    recordStep(registry.system, {
      title: `note that the sessions of ${name} have ended`,
      path: recordFile(registry.places, name),
      record: settled,
    }),
  ].map(withoutUndo);
}

/** How a record's `ending` names a key of the account's own. */
export function endingKey(fingerprint: string): string {
  return `${OWN_KEY}${fingerprint}`;
}

/** Accounts that the keys of `name` open, too. A session there runs as that account's user. */
async function accountsGrantedTo(
  registry: Registry,
  { name, records }: { name: AccountName; records: readonly AccountRecord[] },
): Promise<AccountName[]> {
  const groups = await readGroups(registry);
  return records
    .filter(({ grants }) =>
      grants.some(
        (grant) =>
          (grant.to === 'account' && grant.name === name) ||
          (grant.to === 'group' && groups.get(grant.name)?.includes(name) === true),
      ),
    )
    .map((record) => record.name);
}

/** Never done because it was done before: whatever runs now may have begun with a key that is gone. */
export function endSessionsStep({ system, places }: Registry, names: readonly AccountName[]): Step {
  const uids = async (): Promise<number[]> => {
    const found: number[] = [];
    for (const name of names) {
      const user = await system.user(name);
      if (user !== undefined && (await isAccountUser(system, user, places))) found.push(user.uid);
    }
    return found;
  };
  return {
    title: `end the sessions of ${names.join(', ')}`,
    lines: names.map((name) => `pkill -KILL -u ${name}`),
    isDone: async () => {
      for (const uid of await uids()) if (await system.hasProcesses(uid)) return false;
      return true;
    },
    do: async () => {
      // One that does not end must not keep those of the other accounts alive.
      const ends = await Promise.allSettled((await uids()).map((uid) => system.endProcessesOf(uid)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
  };
}
