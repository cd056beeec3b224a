import type { AccountAddress, Config } from '../config/config.ts';
import type { Abilities } from './storage-account.ts';

export interface HostKey {
  /** `ssh-ed25519` */
  readonly type: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** Where an administrator logs in; without a user or port, ssh's own configuration says which. */
export interface SshTarget {
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
}

export interface RemoteEnd {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What `init` does to this machine and asks of a storage. */
export interface Enrolment {
  /** The configuration that is there, checked; undefined if there is no file. @throws AgentError CONFIG_INVALID */
  readConfig(file: string): Promise<Config | undefined>;
  /** Writes a new file, mode 0600, whole or not at all. @throws AgentError CONFIG_INVALID if it exists or can't be written */
  writeConfig(file: string, text: string): Promise<void>;
  /** Makes an ed25519 key pair. @returns false if the file is there already, untouched */
  makeKeyPair(file: string): Promise<boolean>;
  /** Whether bakker's own SSH can sign in with a key. @throws AgentError AUTHENTICATION_FAILED if not: it is missing, or has a passphrase */
  checkKey(identityFile: string): Promise<void>;
  /** The line for authorized_keys that lets a key do SFTP only. @throws AgentError AUTHENTICATION_FAILED if unusable */
  authorizedKeysLine(identityFile: string): Promise<string>;
  /** `ssh-ed25519 AAAA…`, without a comment. @throws AgentError AUTHENTICATION_FAILED if unusable */
  publicKey(identityFile: string): Promise<string>;
  /**
   * Runs argv on another machine by the system's ssh, with what its own configuration, agents and keys are. ssh may ask
   * the person at the terminal. @throws AgentError STORAGE_UNREACHABLE, AUTHENTICATION_FAILED, HOST_KEY_CHANGED
   */
  runBySsh(target: SshTarget, argv: readonly string[]): Promise<RemoteEnd>;
  /** Asks the storage, without logging in. @throws AgentError STORAGE_UNREACHABLE */
  fetchHostKey(address: Extract<AccountAddress, { kind: 'ssh' }>): Promise<HostKey>;
  /** Makes a local account's folder, mode 0700. @returns false if it is there already */
  makeFolder(folder: string): Promise<boolean>;
  /** Logs in, makes the account's folder if it is missing, tries what the account can do, and leaves. @throws as `StorageAccount` does */
  probe(config: Config): Promise<Abilities>;
  /** Those of the absolute paths that are folders with something in them. */
  existingFolders(paths: readonly string[]): Promise<string[]>;
  /** Whether an absolute path leads to anything. */
  isThere(path: string): Promise<boolean>;
  /** Whether both are there, on one file system. */
  shareFilesystem(path: string, other: string): Promise<boolean>;
}
