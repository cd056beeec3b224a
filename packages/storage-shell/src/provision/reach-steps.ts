import { StorageError } from '../errors.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { asAccount } from './installation.ts';
import { keyFile } from './registry.ts';
import type { Registry } from './registry.ts';
import type { Step } from './steps.ts';
import { mustFindUser } from './user-steps.ts';

const KEY_FILE_MODE = 0o640;

/** Its text may be right where its group is not: a user that was made anew may have other numbers. */
export function keyFileOwnerStep({ system, places }: Registry, { name }: AccountRecord): Step {
  const path = keyFile(places, name);
  return {
    title: `let ${name} alone read ${path}`,
    lines: [`chown root:${name} ${path}`, `chmod 0640 ${path}`],
    isDone: async () => {
      const facts = await system.inspect(path);
      // One that is not there yet is written so.
      if (facts === undefined) return true;
      const user = await system.user(name);
      return facts.uid === 0 && facts.gid === user?.gid && facts.mode === KEY_FILE_MODE;
    },
    do: async () => {
      const { gid } = await mustFindUser(system, name);
      await system.setOwner(path, { mode: KEY_FILE_MODE, uid: 0, gid });
    },
  };
}

/** Looks as the account will: sshd reads the keys as the user who logs in, and any folder above may be closed to it. */
export function reachCheckStep({ system, places }: Registry, record: AccountRecord): Step {
  const { name } = record;
  const checks = [
    { path: keyFile(places, name), flag: '-r', doing: 'read' },
    { path: accountFolder(record), flag: '-x', doing: 'enter' },
  ].map((check) => ({ ...check, argv: [...asAccount(name), 'test', check.flag, check.path] }));
  const look = async (): Promise<{ path: string; doing: string } | undefined> => {
    for (const check of checks) if ((await system.try(check.argv)).status !== 0) return check;
    return undefined;
  };
  return {
    title: `see that ${name} can read its keys and enter its folder`,
    lines: checks.map(({ argv }) => argv.join(' ')),
    isDone: async () => (await look()) === undefined,
    do: async () => {
      const problem = await look();
      if (problem === undefined) return;
      const { path, doing } = problem;
      throw new StorageError('UNSUPPORTED', `${name} can't ${doing} ${path}`, {
        hint: `accounts need x on each folder above it: namei -l ${path} shows them, chmod go+x FOLDER opens one`,
      });
    },
  };
}
