import { parseAccountAddress } from '../config/account-address.ts';
import type { Enrolled } from '../enrol/enrol.ts';
import { AgentError } from '../errors.ts';
import type { Command } from './command.ts';

export interface InitArgs {
  readonly account: string;
  readonly identity?: string;
  readonly 'host-key'?: string;
  readonly 'accept-host-key'?: boolean;
  readonly source?: readonly string[];
  readonly transport?: 'ssh2' | 'openssh';
  readonly yes?: boolean;
}

export const init: Command<InitArgs, Enrolled> = {
  usage: 'init <account>',
  summary: 'Set this server up to back up to an account',
  examples: [
    [
      'bakker init web1@storage.example.org:/runs',
      'makes a key, shows the host key, writes the configuration',
    ],
    ['bakker init /mnt/disk2/web1', 'backs up to a folder on this machine'],
    [
      'bakker init web1@storage:/runs --identity /root/.ssh/id_ed25519 --host-key SHA256:… --source /srv --yes',
      'asks nothing',
    ],
  ],
  positionals: {
    account: {
      type: 'string',
      demandOption: true,
      describe: 'user@host:/path, ssh://user@host:port/path, or a local folder',
    },
  },
  flags: {
    identity: {
      type: 'string',
      requiresArg: true,
      normalize: true,
      describe: 'existing private key file; else a key is made beside the configuration',
    },
    'host-key': { type: 'string', requiresArg: true, describe: "the storage's host key, SHA256:…" },
    'accept-host-key': { type: 'boolean', describe: 'trust the host key that the storage shows now' },
    source: {
      type: 'string',
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: 'folder to back up; can be given several times',
    },
    transport: {
      choices: ['ssh2', 'openssh'],
      describe: "bakker's own SSH, or the system's ssh with ~/.ssh/config, jump hosts and agents",
    },
    yes: {
      type: 'boolean',
      describe: 'ask nothing; an unknown host key still needs --host-key or --accept-host-key',
    },
  },
  run: async (context, args) => {
    const { enrol } = await import('../enrol/enrol.ts');
    return enrol(
      {
        account: parseAccountAddress(args.account),
        configFile: context.configFile,
        identityFile: args.identity === undefined ? undefined : absolute(args.identity),
        hostKey: args['host-key'] === undefined ? undefined : fingerprint(args['host-key']),
        acceptHostKey: args['accept-host-key'] ?? false,
        sources: args.source ?? [],
        transport: args.transport,
      },
      {
        enrolment: await context.enrolment(),
        progress: context.progress,
        confirm: (question) => context.confirm(question),
        mayAsk: context.isInteractive && args.yes !== true,
      },
    );
  },
  json: (result) => result,
  render: (result, screen) => {
    const isNew = result.created.includes(result.configFile);
    screen.line(`The account ${result.account} works.`);
    if (result.hostKey !== null) screen.line(`  host key       ${result.hostKey}`);
    if (result.identityFile !== null) screen.line(`  key            ${result.identityFile}`);
    screen.line(`  configuration  ${result.configFile}`);
    screen.line(isNew ? 'Look at `sources:` in it.' : 'Nothing to change.');
    screen.line(`Next: ${result.nextStep}`);
  },
};

function fingerprint(text: string): string {
  if (/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(text)) return text.replace(/=$/, '');
  throw new AgentError('USAGE', `--host-key ${text} is no fingerprint`, {
    hint: 'write it as ssh-keygen -l prints it: SHA256: and 43 characters',
  });
}

function absolute(path: string): string {
  if (path.startsWith('/')) return path;
  throw new AgentError('USAGE', `--identity ${path} is not an absolute path`, {
    hint: 'write it from / on: a timer runs in another folder',
  });
}
