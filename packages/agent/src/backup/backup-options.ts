import type { Config } from '../config/config.ts';
import type { Clock } from '../ports/clock.ts';
import type { Freezing } from '../ports/frozen-source.ts';
import type { Progress } from '../ports/progress.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { StateFolder } from '../ports/state-folder.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { Encryption } from '../sealed/encryption.ts';

export interface BackupOptions {
  readonly config: Config;
  readonly dryRun: boolean;
  /** Run although the last one is younger than the interval. */
  readonly force: boolean;
  /** Read all content, whatever the times say. */
  readonly checksum: boolean;
  readonly allowEmpty: boolean;
  /** Make a clear run although the last one is sealed. */
  readonly allowClear: boolean;
  /** For contents in flight. */
  readonly memoryBytes: number;
  /** This program's version, for the manifest. */
  readonly version: string;
  /** This server's name, for the manifest. */
  readonly host: string;
  /** How runs are sealed; undefined for clear ones. */
  readonly encryption?: (() => Promise<Encryption>) | undefined;
  /** Waits before the account is connected to again after cuts that follow each other without progress. */
  readonly reconnectAfterMs?: readonly number[];
  /** The configuration with what the storage's administrator adds to it. @throws AgentError CONFIG_INVALID */
  readonly withStorageConfig?: (config: Config, storageText: string | undefined) => Config;
}

export interface BackupPorts {
  /** Opens the account anew at each call: after a cut the old connection is of no use. */
  readonly openAccount: () => Promise<StorageAccount>;
  /** The live files. */
  readonly source: SourceTree;
  /** Lets services stand still and freezes file systems, as configured. */
  readonly freezing?: Freezing;
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Lets others go before this process: called once services run again, which should neither wait nor inherit that. */
  readonly stepBack?: () => Promise<void>;
  /** A run is due, and begins; also when it goes on after a cut. */
  readonly onBegin?: () => void;
  /** The run is published, the account still open. */
  readonly onPublished?: (account: StorageAccount) => Promise<void>;
}
