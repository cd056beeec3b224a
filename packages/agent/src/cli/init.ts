import { parseAccountAddress } from '../config/account-address.ts';
import type { Enrolled } from '../enrol/enrol.ts';
import type { InstalledTimer } from '../enrol/install-timer.ts';
import type { KeyPlan } from '../enrol/prepare-recipients.ts';
import type { ProvisionRequest } from '../enrol/provision-account.ts';
import { AgentError } from '../errors.ts';
import type { Screen } from '@bakker/command-line';
import type { Command, CommandContext } from './command.ts';

export interface InitArgs {
  readonly account: string;
  readonly identity?: string;
  readonly 'host-key'?: string;
  readonly 'accept-host-key'?: boolean;
  readonly source?: readonly string[];
  readonly transport?: 'ssh2' | 'openssh';
  readonly yes?: boolean;
  readonly provision?: string;
  readonly size?: string;
  readonly ceiling?: string;
  readonly backend?: string;
  readonly 'no-read-back'?: boolean;
  readonly 'storage-program'?: string;
  readonly 'storage-config'?: boolean;
  readonly timer?: boolean;
  readonly encrypt?: boolean;
  readonly recipient?: readonly string[];
  readonly 'hide-names'?: boolean;
  readonly 'keep-key'?: boolean;
  readonly 'identity-key'?: string;
}

interface Initialised extends Enrolled {
  /** Only with `--timer`. */
  readonly timer?: InstalledTimer;
}

export const init: Command<InitArgs, Initialised> = {
  usage: 'init <account>',
  summary: 'Set this server up to back up to an account',
  examples: [
    [
      'bakker init web1@storage.example.org:runs',
      'makes a key, shows the host key, writes the configuration',
    ],
    ['bakker init /mnt/disk2/web1', 'backs up to a folder on this machine'],
    [
      'bakker init /mnt/disk2/web1 --encrypt --hide-names --recipient bakker-public-key:…',
      'seals all of it to a key that bakker key generate made elsewhere',
    ],
    [
      'bakker init web1@storage:runs --identity /root/.ssh/id_ed25519 --host-key SHA256:… --source /srv --yes',
      'asks nothing',
    ],
    [
      'bakker init web1@storage:/ --provision root@storage --size 10G',
      'makes the account too, by your own SSH access to the storage',
    ],
    [
      'bakker init web1@storage:/ --timer',
      'also lets systemd start a backup every night; an account that is set up already stays as it is',
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
    provision: {
      type: 'string',
      requiresArg: true,
      describe: 'make the account on the storage first, as ADMIN@HOST, by the ssh and keys that you have',
    },
    size: { type: 'string', requiresArg: true, describe: 'with --provision: what the account may take, 10G' },
    ceiling: {
      type: 'string',
      requiresArg: true,
      describe: 'with --provision: what it may be given when it asks',
    },
    backend: {
      choices: ['dir', 'lvm', 'xfs-quota'],
      describe: 'with --provision: how its space is kept apart',
    },
    'no-read-back': {
      type: 'boolean',
      describe: "with --provision: this server's key can read nothing back",
    },
    'storage-program': {
      type: 'string',
      requiresArg: true,
      default: 'bakker-storage',
      describe: 'with --provision: where bakker-storage is on the storage',
    },
    'storage-config': {
      type: 'boolean',
      describe: 'let the storage say what to back up, where the configuration does not',
    },
    encrypt: { type: 'boolean', describe: 'seal everything before it leaves this server' },
    recipient: {
      type: 'string',
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: 'with --encrypt: a public key to seal to, or a file with one; can be given several times',
    },
    'hide-names': { type: 'boolean', describe: 'with --encrypt: hide the names of files and folders, too' },
    'keep-key': {
      type: 'boolean',
      describe:
        'with --encrypt: leave the private key on this server, whose past is then open to who breaks in',
    },
    'identity-key': {
      type: 'string',
      requiresArg: true,
      describe: 'with --encrypt: file with a private key, to show that it was kept',
    },
    timer: { type: 'boolean', describe: 'install and start a systemd timer for a backup a day' },
    yes: {
      type: 'boolean',
      describe: 'ask nothing; an unknown host key still needs --host-key or --accept-host-key',
    },
  },
  run: async (context, args) => {
    const { enrol } = await import('../enrol/enrol.ts');
    const timer = args.timer === true ? await prepareTimer(context, args) : undefined;
    const enrolled = await enrol(
      {
        account: parseAccountAddress(args.account),
        configFile: context.configFile,
        stateDir: context.stateDir,
        identityFile: args.identity === undefined ? undefined : absolute(args.identity),
        hostKey: args['host-key'] === undefined ? undefined : fingerprint(args['host-key']),
        acceptHostKey: args['accept-host-key'] ?? false,
        sources: args.source ?? [],
        transport: args.transport,
        provision: await provisionOf(args),
        storageConfig: args['storage-config'] ?? false,
        encryption: encryptionOf(args),
        timer: args.timer ?? false,
      },
      {
        enrolment: await context.enrolment(),
        progress: context.progress,
        confirm: (question) => context.confirm(question),
        mayAsk: context.isInteractive && args.yes !== true,
        keys: () => context.keys(),
      },
    );
    return timer === undefined ? enrolled : { ...enrolled, timer: await timer() };
  },
  json: (result) => result,
  render: (result, screen) => {
    const isNew = result.created.includes(result.configFile);
    screen.line(`The account ${result.account} works.`);
    if (result.hostKey !== null) screen.line(`  host key       ${result.hostKey}`);
    if (result.identityFile !== null) screen.line(`  key            ${result.identityFile}`);
    screen.line(`  configuration  ${result.configFile}`);
    screen.line(isNew ? 'Look at `sources:` in it.' : 'Nothing to change.');
    if (result.timer !== undefined) renderTimer(result.timer, screen);
    screen.line(`Next: ${result.nextStep}`);
  },
};

/** Looks first whether it can be done at all. @throws AgentError USAGE */
async function prepareTimer(
  context: CommandContext,
  { yes }: InitArgs,
): Promise<() => Promise<InstalledTimer>> {
  const { installTimer, mustHaveSystemd } = await import('../enrol/install-timer.ts');
  const manager = await context.serviceManager();
  const { configFile, stateDir } = context;
  await mustHaveSystemd(manager, { configFile, stateDir });
  const confirm = async (question: string): Promise<void> => {
    if (yes !== true) await context.confirm(question);
  };
  return () => installTimer({ configFile, stateDir }, { manager, confirm });
}

function renderTimer({ timer, written, enabled }: InstalledTimer, screen: Screen): void {
  for (const file of written) screen.line(`  wrote          ${file}`);
  for (const unit of enabled) screen.line(`  enabled        ${unit}`);
  if (written.length + enabled.length === 0) screen.line(`  ${timer} is installed and enabled already.`);
  screen.line(`systemctl list-timers ${timer} says when the next run is.`);
}

function encryptionOf(args: InitArgs): KeyPlan | undefined {
  if (args.encrypt === true) {
    return {
      hidesNames: args['hide-names'] ?? false,
      recipients: args.recipient ?? [],
      keepsKey: args['keep-key'] ?? false,
      identityFile: args['identity-key'],
      isTrusted: args.yes ?? false,
    };
  }
  const stray = (['recipient', 'hide-names', 'keep-key', 'identity-key'] as const).find(
    (flag) => args[flag] !== undefined && args[flag] !== false,
  );
  if (stray === undefined) return undefined;
  throw new AgentError('USAGE', `--${stray} goes with --encrypt`);
}

async function provisionOf(args: InitArgs): Promise<ProvisionRequest | undefined> {
  if (args.provision === undefined) {
    const stray = (['size', 'ceiling', 'backend'] as const).find((flag) => args[flag] !== undefined);
    if (stray === undefined && args['no-read-back'] !== true) return undefined;
    throw new AgentError('USAGE', `--${stray ?? 'no-read-back'} goes with --provision`);
  }
  const { parseSshTarget } = await import('./ssh-target.ts');
  return {
    administrator: parseSshTarget(args.provision, '--provision'),
    size: args.size,
    ceiling: args.ceiling,
    backend: args.backend,
    noRead: args['no-read-back'] ?? false,
    program: args['storage-program'] ?? 'bakker-storage',
  };
}

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
