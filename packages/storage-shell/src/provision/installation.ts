import { dirname } from 'node:path';
import { StorageError } from '../errors.ts';
import type { System } from '../ports/system.ts';
import type { AccountRecord } from './account-record.ts';
import type { Places } from './places.ts';
import { isPlainPath } from './places.ts';
import type { Step } from './steps.ts';

/** @throws StorageError DENIED unless root runs this */
export function mustBeRoot({ isRoot }: System): void {
  if (isRoot) return;
  throw new StorageError('DENIED', 'only root can do this', { hint: 'run it with sudo' });
}

/**
 * That accounts can start this installation, and that nobody but root can change it: it decides what they may do.
 *
 * @throws StorageError UNSUPPORTED naming the folder that is in the way
 */
export async function checkInstallation(
  system: System,
  { places, note }: { places: Places; note: (text: string) => void },
): Promise<void> {
  for (const program of [system.launcher, system.loginShell]) {
    if (!isPlainPath(program)) {
      throw new StorageError(
        'UNSUPPORTED',
        `${program} can't be the command of a key: its path needs quoting`,
        {
          hint: 'install bakker in a folder such as /usr/local/lib/bakker',
        },
      );
    }
    for (let path = program; ; path = dirname(path)) {
      const facts = await system.inspect(path);
      if (facts === undefined)
        throw new StorageError('UNSUPPORTED', `${path} is not there`, { hint: 'install bakker anew' });
      if ((facts.mode & 0o001) === 0) {
        throw new StorageError('UNSUPPORTED', `accounts can't reach ${program}: ${path} is closed to them`, {
          hint: 'install bakker where every user may read it, such as /usr/local/lib/bakker',
        });
      }
      const isOthers = facts.uid !== 0 || ((facts.mode & 0o022) !== 0 && (facts.mode & 0o1000) === 0);
      if (isOthers) note(`warning: others than root can change ${path}, and so what accounts may do`);
      if (path === '/') break;
    }
  }
  if ((await system.inspect(places.sshdProgram)) === undefined) {
    throw new StorageError('UNSUPPORTED', `there is no ${places.sshdProgram}`, {
      hint: 'install openssh-server, or set sshd-program in storage.yaml',
    });
  }
}

/** Before the words of a command: runs it as the account's user, with its groups. */
export function asAccount(name: string): string[] {
  return ['setpriv', `--reuid=${name}`, `--regid=${name}`, '--init-groups'];
}

/** Starts the program as the account will. */
export function startCheckStep(system: System, { name }: AccountRecord): Step {
  const argv = [
    ...asAccount(name),
    // as its login shell does
    ...['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    system.launcher,
    '--version',
  ];
  const look = async (): Promise<string | undefined> => {
    if ((await system.user(name)) === undefined) return 'its user is not there';
    const { status, stderr } = await system.try(argv);
    return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) ?? `status ${status}`);
  };
  return {
    title: `see that ${name} can start bakker-storage`,
    lines: [argv.join(' ')],
    isDone: async () => (await look()) === undefined,
    do: async () => {
      const problem = await look();
      if (problem === undefined) return;
      throw new StorageError('UNSUPPORTED', `${name} can't start ${system.launcher}: ${problem}`, {
        hint: 'install bakker where every user may read it, with its node_modules',
      });
    },
  };
}
