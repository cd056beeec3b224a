import type { Limits } from '../limits/limits.ts';
import type { NotifySettings } from './notify-settings.ts';
import type { EncryptSettings } from './read-encrypt.ts';
import type { ServiceSettings } from './service-settings.ts';
import type { SnapshotSettings } from './snapshot-settings.ts';

/** Where the runs go. */
export type AccountAddress =
  | {
      readonly kind: 'ssh';
      readonly user: string;
      readonly host: string;
      readonly port: number;
      /** Folder of the account as SFTP sees it; `.` when the address had none (the folder that the login starts in). */
      readonly path: string;
    }
  | { readonly kind: 'local'; readonly folder: string };

export interface SshSettings {
  /** `ssh2`: in this process. `openssh`: the system's `ssh -s`, with the user's own ~/.ssh/config. */
  readonly transport: 'ssh2' | 'openssh';
  /** Private key file; undefined with `openssh` when ssh's own configuration should choose. */
  readonly identityFile: string | undefined;
  /** Pinned fingerprint, `SHA256:…`. */
  readonly hostKey: string | undefined;
  /** Extra arguments for the system's ssh. */
  readonly sshOptions: readonly string[];
  /** SFTP channels; `auto` opens more on a long line. */
  readonly channels: number | 'auto';
}

export interface SourceSettings {
  /** Absolute path or glob. */
  readonly path: string;
  readonly excludes: readonly string[];
  readonly oneFilesystem: boolean;
  readonly honourMarkers: boolean;
  /** Where the source says something else than the whole configuration. */
  readonly snapshot?: SnapshotSettings;
}

export interface RetentionSettings {
  readonly days: number;
  readonly instances: number;
  readonly months: number;
  readonly years: number;
}

/** A checked configuration: nothing in it needs to be looked at again. Frozen. */
export interface Config {
  readonly file: string;
  readonly account: AccountAddress;
  readonly ssh: SshSettings;
  readonly sources: readonly SourceSettings[];
  /** For every source, before its own. */
  readonly excludes: readonly string[];
  readonly minIntervalMs: number;
  readonly retention: RetentionSettings;
  /** A run that lost more than this share (0 to 1) of its parent's files freezes retention. */
  readonly freezeGoneShare: number;
  /** The same for one that found more than this share of them rewritten. */
  readonly freezeChangedShare: number;
  /** Whether the storage may supply what this configuration leaves out; see storage-config.ts. */
  readonly storageConfig: boolean;
  /** The keys that the file has: what it says wins over what the storage supplies. */
  readonly stated: readonly string[];
  /** Undefined for runs that are not sealed. */
  readonly encrypt: EncryptSettings | undefined;
  /** What stands still during the snapshot, in order. */
  readonly services: readonly ServiceSettings[];
  /** How long they may stand still. */
  readonly windowMs: number;
  /** For every source that does not say. */
  readonly snapshot: SnapshotSettings;
  /** Of changed files of this size and more, changed blocks alone are sent; undefined: always all. */
  readonly blockChangeBytes: number | undefined;
  /** How much of the machine and of the line runs and restores may take. */
  readonly limits: Limits;
  /** Who is told of runs. */
  readonly notify: NotifySettings;
}
