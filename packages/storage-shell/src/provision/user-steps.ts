import { StorageError } from '../errors.ts';
import type { System, UnixUser } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { COMMENT } from './kept-folder.ts';
import type { Numbers } from './kept-folder.ts';
import type { Places } from './places.ts';
import type { Step } from './steps.ts';

/** The group that sshd knows accounts by. */
export function groupStep(system: System, { group }: Places): Step {
  const argv = ['groupadd', '--system', group];
  return {
    title: `make the group ${group}`,
    lines: [argv.join(' ')],
    isDone: async () => (await system.group(group)) !== undefined,
    do: async () => {
      await system.run(argv);
    },
    undo: async () => {
      if ((await system.group(group)) !== undefined) await system.run(['groupdel', group]);
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
  const add = [
    ...['useradd', '--no-create-home', '--no-log-init'],
    ...(kept === undefined ? ['--user-group'] : ['--uid', String(kept.uid), '--gid', name]),
    ...['--groups', places.group],
    ...['--home-dir', home, '--shell', shell, '--password', '*', '--comment', COMMENT],
    // No ids for containers of its own: there will be none.
    ...['--key', 'SUB_UID_COUNT=0', '--key', 'SUB_GID_COUNT=0', name],
  ];
  let wasThere = true;
  let hadGroup = true;
  return {
    title: `make the Unix user ${name}`,
    lines: [...(addGroup === undefined ? [] : [addGroup]), add].map((argv) =>
      argv.map((word) => (/[ *]/.test(word) ? `'${word}'` : word)).join(' '),
    ),
    isDone: async () => {
      const user = await system.user(name);
      if (user !== undefined) checkOurs(user);
      return user?.home === home && user.shell === shell && (await isMember(name));
    },
    do: async () => {
      wasThere = (await system.user(name)) !== undefined;
      if (wasThere) {
        await system.run([
          ...['usermod', '--home', home, '--shell', shell, '--append', '--groups', places.group, name],
        ]);
        return;
      }
      hadGroup = (await system.group(name)) !== undefined;
      if (addGroup !== undefined && !hadGroup) await system.run(addGroup);
      await system.run(add);
    },
    undo: async () => {
      if (wasThere) return;
      if ((await system.user(name)) !== undefined) await system.run(['userdel', name]);
      // Mostly gone with the user.
      if (!hadGroup && (await system.group(name)) !== undefined) await system.run(['groupdel', name]);
    },
  };

  async function isMember(user: string): Promise<boolean> {
    return (await system.group(places.group))?.members.includes(user) ?? false;
  }
}

/** @throws StorageError NAME_TAKEN for a user that is somebody else's: root, www-data, a person */
export function checkOurs(user: UnixUser): void {
  if (user.comment.split(',')[0] === COMMENT && user.uid !== 0) return;
  throw new StorageError('NAME_TAKEN', `there is a Unix user ${user.name} that is no account of bakker's`, {
    hint: 'choose another name for the account',
  });
}

/** @throws StorageError ACCOUNT_UNUSABLE */
export async function mustFindUser(system: System, name: string): Promise<UnixUser> {
  const user = await system.user(name);
  if (user !== undefined) return user;
  throw new StorageError('ACCOUNT_UNUSABLE', `the Unix user ${name} is not there`, {
    hint: `bakker-storage provision ${name} makes it again`,
  });
}
