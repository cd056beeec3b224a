import { StorageError } from '../errors.ts';
import type { System, UnixUser } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { COMMENT } from './kept-folder.ts';
import type { Numbers } from './kept-folder.ts';
import type { Places } from './places.ts';
import type { Step } from './steps.ts';

/** A status of useradd(8) and groupadd(8). */
const NAME_IN_USE = 9;

/** The group that sshd knows accounts by. */
export function groupStep(system: System, { group }: Places): Step {
  const argv = ['groupadd', '--system', group];
  let isMade = false;
  return {
    title: `make the group ${group}`,
    lines: [argv.join(' ')],
    isDone: async () => (await system.group(group)) !== undefined,
    do: async () => {
      await add(system, argv, () => {
        isMade = true;
      });
    },
    undo: async () => {
      const made = isMade ? await system.group(group) : undefined;
      // Without the group sshd would let none of its accounts in.
      if (made?.members.length === 0) await system.run(['groupdel', group]);
    },
  };
}

/**
 * The account's Unix user. Its password is `*`: none matches, while `!` would be "locked", which sshd without PAM does not
 * let in by key either. Its shell starts forced commands of ours and nothing else.
 *
 * @param kept - the numbers that it had; else the system chooses
 */
export function userStep(
  system: System,
  record: AccountRecord,
  { places, kept }: { places: Places; kept: Numbers | undefined },
): Step {
  const { name } = record;
  const home = accountFolder(record);
  const shell = system.loginShell;
  const addGroup = kept && ['groupadd', '--gid', String(kept.gid), name];
  const addUser = [
    ...['useradd', '--no-create-home', '--no-log-init'],
    ...(kept === undefined ? ['--user-group'] : ['--uid', String(kept.uid), '--gid', name]),
    ...['--groups', places.group],
    ...['--home-dir', home, '--shell', shell, '--password', '*', '--comment', COMMENT],
    // No ids for containers of its own: there will be none.
    ...['--key', 'SUB_UID_COUNT=0', '--key', 'SUB_GID_COUNT=0', name],
  ];
  let isUserMade = false;
  let isGroupMade = false;
  return {
    title: `make the Unix user ${name}`,
    lines: [...(addGroup === undefined ? [] : [addGroup]), addUser].map((argv) =>
      argv.map((word) => (/[ *]/.test(word) ? `'${word}'` : word)).join(' '),
    ),
    isDone: async () => {
      const user = await system.user(name);
      if (user !== undefined) checkOurs(user);
      return user?.home === home && user.shell === shell && (await isMember(name));
    },
    do: async () => {
      if ((await system.user(name)) !== undefined) {
        await system.run([
          ...['usermod', '--home', home, '--shell', shell, '--append', '--groups', places.group, name],
        ]);
        return;
      }
      const hadGroup = (await system.group(name)) !== undefined;
      if (addGroup !== undefined && !hadGroup) {
        await add(system, addGroup, () => {
          isGroupMade = true;
        });
      }
      await add(system, addUser, () => {
        isUserMade = true;
        isGroupMade = !hadGroup;
      });
    },
    undo: async () => {
      const made = isUserMade ? await system.user(name) : undefined;
      if (made !== undefined && isOurs(made)) await system.run(['userdel', name]);
      // Mostly gone with the user.
      if (isGroupMade && (await system.group(name)) !== undefined) await system.run(['groupdel', name]);
    },
  };

  async function isMember(user: string): Promise<boolean> {
    return (await system.group(places.group))?.members.includes(user) ?? false;
  }
}

/**
 * useradd or groupadd. `begun` is called unless the name is in use, whoever took it and since when: then nothing was made, and
 * nothing is to be undone.
 */
async function add(system: System, argv: readonly string[], begun: () => void): Promise<void> {
  try {
    await system.run(argv);
  } catch (error) {
    if (!saysInUse(error)) begun();
    throw error;
  }
  begun();
}

function saysInUse(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null && 'status' in cause && cause.status === NAME_IN_USE;
}

/** @throws StorageError NAME_TAKEN for a user that is somebody else's: root, www-data, a person */
export function checkOurs(user: UnixUser): void {
  if (isOurs(user)) return;
  throw new StorageError('NAME_TAKEN', `there is a Unix user ${user.name} that is no account of bakker's`, {
    hint: 'choose another name for the account',
  });
}

/**
 * Whether a key file of ours can open the user. One that has the name of an account and is not, as after provisioning that was cut
 * off or a user that somebody made anew, is never touched.
 */
export async function isAccountUser(system: System, user: UnixUser, { group }: Places): Promise<boolean> {
  return isOurs(user) || ((await system.group(group))?.members.includes(user.name) ?? false);
}

function isOurs({ comment, uid }: UnixUser): boolean {
  return comment.split(',')[0] === COMMENT && uid !== 0;
}

/** @throws StorageError ACCOUNT_UNUSABLE */
export async function mustFindUser(system: System, name: string): Promise<UnixUser> {
  const user = await system.user(name);
  if (user !== undefined) return user;
  throw new StorageError('ACCOUNT_UNUSABLE', `the Unix user ${name} is not there`, {
    hint: `bakker-storage provision ${name} makes it again`,
  });
}
