import { StorageError } from '../errors.ts';
import type { Visit } from '../ports/shell-session.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account?: string;
  readonly role?: string;
  readonly read: boolean;
  readonly c?: string;
}

export const shell: Command<Args, void> = {
  usage: 'shell',
  summary: 'Serve one session of an account over standard input and output (the forced command of a key)',
  examples: [
    [
      'restrict,command="bakker-storage shell --account server1 --role backup" ssh-ed25519 …',
      'a line of authorized_keys',
    ],
  ],
  positionals: {},
  flags: {
    account: { type: 'string', describe: 'NAME of the account, a folder in the root' },
    role: { type: 'string', choices: ['backup', 'restore'], describe: 'what the key may do' },
    read: {
      type: 'boolean',
      default: true,
      describe: '--no-read: nothing of the runs can be read back, only added',
    },
    c: {
      type: 'string',
      describe: 'what a login shell is called with; nothing of it is run',
    },
  },
  async run(context, { account, role, read }) {
    if (account === undefined || (role !== 'backup' && role !== 'restore')) {
      throw new StorageError('USAGE', 'shell: --account and --role are missing', {
        hint: 'it is not for people: it is the forced command of a key, see bakker-storage shell --help',
      });
    }
    const session = await context.ports.session();
    if (!isWelcome(session.visit())) {
      throw new StorageError(
        'DENIED',
        'this account keeps backups: it serves SFTP, and neither a shell nor commands',
      );
    }
    const { rootDir, signal } = context;
    await session.serve({ rootDir, account, role, mayRead: read, signal });
  },
  json: () => undefined,
  render: () => undefined,
};

/** Nothing that a client asks to run is run; a client that asks for something else than SFTP is told so at once. */
function isWelcome({ isTerminal, command }: Visit): boolean {
  if (isTerminal) return false;
  const program = command?.trim().split(/\s+/, 1)[0] ?? '';
  return program === '' || SERVED.has(program.slice(program.lastIndexOf('/') + 1));
}

/** sshd's words for the subsystem, and what a client without one asks for. */
const SERVED: ReadonlySet<string> = new Set(['internal-sftp', 'sftp-server', 'sftp', 'bakker-storage']);
