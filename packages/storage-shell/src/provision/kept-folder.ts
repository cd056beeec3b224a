import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';

/** Of a Unix user and its group. */
export interface Numbers {
  readonly uid: number;
  readonly gid: number;
}

/** Of an account's Unix user; by it bakker knows its own. */
export const COMMENT = 'bakker account';

/**
 * Whose the account's folder is that outlived its user, as on the disks of a machine that was lost: a user that is made with these
 * numbers owns its runs again. Undefined if the user is there, or no such folder.
 *
 * @throws StorageError NAME_TAKEN if the files are root's, or somebody else has the numbers now
 */
export async function keptNumbers(system: System, record: AccountRecord): Promise<Numbers | undefined> {
  const { name } = record;
  const folder = accountFolder(record);
  if ((await system.user(name)) !== undefined) return undefined;
  const facts = await system.inspect(folder);
  if (facts?.type !== 'folder') return undefined;
  const { uid, gid } = facts;
  const names = await system.list(folder);
  if (uid === 0 ? isUnused(names) : names.length === 0) return undefined;
  const group = await system.group(name);
  const isFree =
    (await system.user(String(uid))) === undefined &&
    (group === undefined ? (await system.group(String(gid))) === undefined : group.gid === gid);
  if (uid !== 0 && gid !== 0 && isFree) return { uid, gid };
  throw new StorageError(
    'NAME_TAKEN',
    `${folder} is there, with files of user ${uid} and group ${gid}, which ${name} can't become`,
    {
      hint: `if they are this account's: ${userCommands(name).join('; ')}; chown -R ${name}:${name} ${folder}; then run this again. Else move them away`,
    },
  );
}

/** Whether nothing is in a folder but what a new file system or an unfinished provisioning has. */
export function isUnused(names: readonly string[]): boolean {
  return names.every((name) => name === 'lost+found' || name === '.bakker');
}

/** What makes a user by hand that provisioning takes for its own, whatever its number. */
function userCommands(name: string): string[] {
  return [
    `groupadd --force ${name}`,
    `useradd --no-create-home --gid ${name} --password '*' --comment '${COMMENT}' ${name}`,
  ];
}
