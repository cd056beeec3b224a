import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { isUnused } from './kept-folder.ts';
import type { Step } from './steps.ts';
import { mustFindUser } from './user-steps.ts';

const OWN_MODE = 0o700;

/** The account's folder, its own and closed to everybody else. `makes`: also where it is missing. */
export function ownFolderStep(system: System, record: AccountRecord, { makes }: { makes: boolean }): Step {
  const folder = accountFolder(record);
  const { name } = record;
  let isNew = false;
  return {
    title: `give ${folder} to ${name}`,
    lines: [`install -d -o ${name} -g ${name} -m 0700 ${folder}`],
    isDone: async () => {
      const facts = await system.inspect(folder);
      if (facts !== undefined && facts.type !== 'folder') {
        throw new StorageError('NAME_TAKEN', `${folder} is there and is no folder`, { hint: 'move it away' });
      }
      const user = await system.user(name);
      return (
        facts !== undefined && facts.uid === user?.uid && facts.gid === user.gid && facts.mode === OWN_MODE
      );
    },
    do: async () => {
      const user = await mustFindUser(system, name);
      const facts = await system.inspect(folder);
      // One of somebody else's is never handed over with what is in it.
      if (facts !== undefined && facts.uid !== user.uid && !isUnused(await system.list(folder))) {
        throw new StorageError('NAME_TAKEN', `${folder} is there, with files of user ${facts.uid}`, {
          hint: `if they are this account's, chown -R ${name}:${name} ${folder}; else move them away`,
        });
      }
      isNew = makes && facts === undefined;
      if (isNew) await system.makeFolder(folder, { mode: OWN_MODE, uid: user.uid, gid: user.gid });
      await system.setOwner(folder, { mode: OWN_MODE, uid: user.uid, gid: user.gid });
    },
    undo: async () => {
      if (isNew) await system.removeEmptyFolder(folder);
    },
  };
}

/** Removes a folder with all that is in it, and nothing that is mounted below. */
export function removeTreeStep(system: System, folder: string): Step {
  const argv = ['rm', '-rf', '--one-file-system', '--', folder];
  return {
    title: `delete ${folder} with all that is in it`,
    lines: [argv.join(' ')],
    isDone: async () => (await system.inspect(folder)) === undefined,
    do: async () => {
      await system.run(argv);
    },
  };
}
