import { formatAccountAddress } from './account-address.ts';
import type { AccountAddress } from './config.ts';
import { DEFAULTS } from './defaults.ts';
import { NO_LIMITS } from '../limits/limits.ts';
import type { EncryptSettings } from './read-encrypt.ts';

/** What `bakker init` found out. */
export interface InitialSettings {
  readonly account: AccountAddress;
  readonly identityFile?: string;
  readonly hostKey?: string;
  readonly transport: 'ssh2' | 'openssh';
  /** Empty if the storage says them. */
  readonly sources: readonly string[];
  readonly storageConfig: boolean;
  readonly encrypt?: EncryptSettings | undefined;
}

/** Writes a commented configuration file; `parseConfig` reads the same settings from it. */
export function renderConfig(options: InitialSettings): string {
  const { account, identityFile, hostKey, transport, sources, storageConfig, encrypt } = options;
  const { retention } = DEFAULTS;
  return `# What bakker backs up, and where to. docs/configuration.md describes every key.
# A line that starts with "#" shows what holds without it; some are examples, and say so.

# The account that the runs go to.
account: ${scalar(formatAccountAddress(account))}

# The private key to sign in with, and the fingerprint of the storage's host key:
# bakker refuses any other.
${identityFile === undefined ? '#identity: /root/.ssh/id_ed25519' : `identity: ${scalar(identityFile)}`}
${hostKey === undefined ? '#host-key: SHA256:…' : `host-key: ${scalar(hostKey)}`}

# ssh2: bakker's own connection. openssh: the system's ssh, with ~/.ssh/config, jump hosts and agents.
${transport === DEFAULTS.transport ? `#transport: ${DEFAULTS.transport}` : `transport: ${transport}`}

# Folders to back up: absolute paths, * and ** are taken.
${sources.length === 0 ? '#sources: [/etc]' : `sources:\n${sources.map(renderSource).join('\n')}`}

# Examples: never backed up, in the syntax of .gitignore, for every source. Patterns are relative to the source: /cache/ is
# /var/cache in the source /var. A source may have its own: { path: /var, exclude: [/cache/] }.
#exclude:
#  - '*.tmp'
#  - node_modules/

# Stay on the file system that a source is on.
#one-file-system: ${DEFAULTS.oneFilesystem}

# Leave out folders with a CACHEDIR.TAG or a .nobackup file in them.
#markers: ${DEFAULTS.honourMarkers}

# Least time from one run to the next: 90m, 20h, 1d; 0 for none.
#interval: ${DEFAULTS.interval}

# What is kept: all runs of this many days, the newest runs, the newest run of each month and of each year.
#retention: { days: ${retention.days}, instances: ${retention.instances}, months: ${retention.months}, years: ${retention.years} }

# A run in which more than this share of the files is gone, or was rewritten, stops retention until a person has looked.
#freeze-when-gone: ${DEFAULTS.freezeWhenGone}
#freeze-when-changed: ${DEFAULTS.freezeWhenChanged}

# Take sources, exclude, interval and retention from the storage, as far as this file says nothing of them.
${storageConfig ? 'storage-config: true' : '#storage-config: false'}

# Seal everything before it leaves this server, to the keys in the file recipients beside this one: true, or
# { hide-names: true } to hide names, too. bakker key add says whom to.
${renderEncrypt(encrypt)}

# What stands still while a snapshot is made, in this order, and for how long at most. docs/quiesce.md has recipes.
#services: []
#window: ${DEFAULTS.window}

# How file systems are frozen: auto, lvm, btrfs, zfs, reflink, mirror or none. With services, what holds is
# { provider: ${DEFAULTS.snapshot.provider}, lvm-size: ${DEFAULTS.snapshot.lvmSize.share * 100}% }. docs/snapshots.md.
#snapshot: none

# How much of this machine a run may take: the disk (normal, low, idle), the processor (0 to 19), memory for what is in flight.
#io-priority: ${NO_LIMITS.ioPriority}
#nice: ${NO_LIMITS.nice}
#memory: ${NO_LIMITS.memoryBytes / 1024 ** 2}M

# Examples: without these there is no limit. Bytes a second to the storage and from it, and processors.
#limit-upload: 10M
#limit-download: 10M
#cores: 2

# Of changed files of this size and more, only changed blocks are sent; off: always the whole file.
#block-change: ${DEFAULTS.blockChange}

# Who is told of runs: hooks, ping, mail, ntfy, prometheus. docs/notifications.md.
#notify: {}
`;
}

function renderEncrypt(encrypt: EncryptSettings | undefined): string {
  if (encrypt === undefined) return '#encrypt: false';
  return encrypt.hidesNames ? 'encrypt: { hide-names: true }' : 'encrypt: true';
}

function renderSource(source: string): string {
  return `  - ${scalar(source)}`;
}

/** Plain where no reader of YAML could take it for anything else, quoted otherwise; always one line. */
function scalar(text: string): string {
  return /^[\w/][\w/.@:+*-]*[\w/*]$/.test(text) && /[/@]/.test(text) ? text : JSON.stringify(text);
}
