import type { Config } from '../config/config.ts';
import type { Space } from './storage-account.ts';

export interface FileFacts {
  readonly type: 'file' | 'directory' | 'other';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
}

/** This machine, as `doctor` looks at it. */
export interface Machine {
  /** Of this process. */
  readonly uid: number;
  /** Symlinks are followed; undefined if nothing is there. @throws the errno error */
  inspect(path: string): Promise<FileFacts | undefined>;
  /** What a source (a path or a glob) names now. */
  matches(source: string): Promise<readonly string[]>;
  /** Writes a file into the folder, which is made if it is not there, and removes it. @throws the errno error */
  tryWriting(folder: string): Promise<void>;
  /** Of the file system that the folder is on. @throws the errno error */
  space(folder: string): Promise<Space>;
  /** The Node.js that runs this, and whether it is the one that is carried along. */
  runtime(): { version: string; isCarried: boolean };
  /** Whether ssh2's crypto binding is built for this Node.js. */
  hasNativeCrypto(): boolean;
  /** An absolute path, or a name in the PATH: a file that can be run. */
  hasProgram(program: string): Promise<boolean>;
  hasUser(name: string): Promise<boolean>;
  /** Undefined where systemd does not run the machine. */
  isUnitEnabled(unit: string): Promise<boolean | undefined>;
  /** Resolves if an HTTP server answers there, whatever it says. @throws Error saying why not */
  reach(origin: string): Promise<void>;
  /** How many SFTP channels one connection takes, up to `wanted`. @throws as `StorageAccount` does */
  countChannels(config: Config, wanted: number): Promise<number>;
}
