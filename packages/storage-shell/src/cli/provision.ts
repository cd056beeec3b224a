import { StorageError } from '../errors.ts';
import type { FilesystemType } from '../provision/account-record.ts';
import type { Provisioned } from '../provision/provision.ts';
import {
  DRY_RUN_FLAG,
  ETC_FLAG,
  accountNamed,
  isChanged,
  openTools,
  readKeys,
  renderSteps,
  stepsJson,
} from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly name: string;
  readonly key?: readonly string[];
  readonly backend?: string;
  readonly size?: string;
  readonly ceiling?: string;
  readonly vg?: string;
  readonly fs?: FilesystemType;
  readonly group?: readonly string[];
  readonly read: boolean;
  readonly allowRead: boolean;
  readonly dryRun: boolean;
  readonly etc: string;
}

export const provision: Command<Args, Provisioned> = {
  usage: 'provision <name>',
  summary: "Make a server's account, or complete one",
  examples: [
    ['bakker-storage provision web1 --key web1.pub --size 10G', 'a folder of the shared file system'],
    [
      'bakker-storage provision web1 --key "ssh-ed25519 AAAA…" --backend lvm --vg backups --size 10G',
      'a volume of its own',
    ],
    ['bakker-storage provision web1 --key new.pub', 'one more key, for a server that was replaced'],
    ['bakker-storage provision web1 --size 10G --dry-run', 'each command that would be run'],
  ],
  positionals: { name: { type: 'string', describe: 'a-z, 0-9, - and _: it is a Unix user too' } },
  flags: {
    key: {
      type: 'string',
      array: true,
      nargs: 1,
      requiresArg: true,
      describe: "the server's public key: a FILE, or the key itself; can be given several times",
    },
    backend: {
      choices: ['dir', 'lvm', 'xfs-quota'],
      describe: 'how its space is kept apart; dir if nothing says otherwise',
    },
    size: { type: 'string', requiresArg: true, describe: 'what it may take: 10G' },
    ceiling: { type: 'string', requiresArg: true, describe: 'what it may be given when its server asks' },
    vg: { type: 'string', requiresArg: true, describe: 'volume group, for lvm' },
    fs: { choices: ['xfs', 'ext4'], describe: 'file system, for lvm; xfs if nothing says otherwise' },
    group: {
      type: 'string',
      array: true,
      nargs: 1,
      requiresArg: true,
      describe: 'put it into a group, which other accounts may be granted to',
    },
    read: { type: 'boolean', default: true, describe: '--no-read: its key reads nothing back' },
    'allow-read': { type: 'boolean', describe: 'take --no-read back' },
    ...DRY_RUN_FLAG,
    ...ETC_FLAG,
  },
  async run(context, args) {
    const { provision: work } = await import('../provision/provision.ts');
    const { sizeFlag } = await import('../provision/sizes.ts');
    if (args.allowRead && !args.read)
      throw new StorageError('USAGE', 'provision: --no-read and --allow-read exclude each other');
    const tools = await openTools(context, args.etc);
    return work(
      {
        name: await accountNamed(args.name),
        rootDir: context.rootDir,
        keys: await readKeys(args.key ?? [], tools),
        reading: !args.read ? 'no-read' : args.allowRead ? 'read' : undefined,
        backend: args.backend,
        sizeBytes: sizeFlag(args.size, '--size'),
        ceilingBytes: sizeFlag(args.ceiling, '--ceiling'),
        vg: args.vg,
        fs: args.fs,
        groups: args.group ?? [],
        isDryRun: args.dryRun,
      },
      tools,
    );
  },
  json: ({ record, folder, isDryRun, steps, hostKeys }) => ({
    account: record.name,
    folder,
    backend: record.backend.kind,
    dryRun: isDryRun,
    changed: isChanged(steps),
    keys: record.keys.length,
    hostKeys,
    steps: stepsJson(steps),
  }),
  render({ record, isDryRun, steps, hostKeys }, screen) {
    renderSteps(steps, screen);
    if (isDryRun) {
      if (!isChanged(steps)) screen.line(`The account ${record.name} is as it should be: nothing to do.`);
      return;
    }
    screen.line(
      isChanged(steps)
        ? `The account ${record.name} is ready.`
        : `The account ${record.name} was ready: nothing was changed.`,
    );
    if (record.keys.length === 0) {
      screen.line(
        screen.typedHere(`No key opens it yet: bakker-storage provision ${record.name} --key FILE`),
      );
      return;
    }
    const pin = hostKeys[0] === undefined ? '' : ` --host-key ${hostKeys[0]}`;
    screen.line(`On the server: bakker init ${record.name}@STORAGE:/${pin}`);
    screen.line(
      screen.typedHere(
        'Once for this storage: bakker-storage timers --enable retires runs and checks files by itself.',
      ),
    );
  },
};
