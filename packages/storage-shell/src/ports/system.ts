/** An entry of the system's users. */
export interface UnixUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
}

export interface UnixGroup {
  readonly gid: number;
  readonly members: readonly string[];
}

export interface FileFacts {
  readonly type: 'file' | 'folder' | 'symlink' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, with set-id and sticky. */
  readonly mode: number;
}

export interface MountFacts {
  readonly mountPoint: string;
  readonly type: string;
  /** `/dev/mapper/vg-bakker--web1` */
  readonly source: string;
  /** Of the mount and of the file system. */
  readonly options: readonly string[];
}

export interface SpaceFacts {
  readonly totalBytes: number;
  /** For everybody but root. */
  readonly freeBytes: number;
  readonly freeInodes: number;
}

export interface ProgramEnd {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface WriteOptions {
  readonly mode: number;
  /** 0 if absent. */
  readonly uid?: number;
  readonly gid?: number;
}

/** The storage machine, as its administrator sees it. Paths are absolute. */
export interface System {
  readonly isRoot: boolean;
  /** The program that sshd is to start, and what accounts have as their shell: files of this installation. */
  readonly launcher: string;
  readonly loginShell: string;
  /** The folder with the units of systemd that come with bakker. */
  readonly unitTemplates: string;

  /** Runs a program to its end. @throws StorageError FAILED with its last words, UNSUPPORTED if it is not installed */
  run(argv: readonly string[]): Promise<string>;
  /** The same for programs whose status is an answer. @throws StorageError UNSUPPORTED */
  try(argv: readonly string[]): Promise<ProgramEnd>;

  /** By name, or by number in digits. */
  user(name: string): Promise<UnixUser | undefined>;
  /** By name, or by number in digits. */
  group(name: string): Promise<UnixGroup | undefined>;
  /** Whether anything runs as the user, by real or effective id. */
  hasProcesses(uid: number): Promise<boolean>;
  /** Kills what runs as the user, and waits until it is gone. */
  endProcessesOf(uid: number): Promise<void>;
  /** Sends SIGHUP to the process of a pid file, if that runs and its program is called so. @returns whether it did */
  hangUp(pidFile: string, program: string): Promise<boolean>;

  /** Does not follow a symlink at the end. Undefined if nothing is there. */
  inspect(path: string): Promise<FileFacts | undefined>;
  /** Undefined if nothing is there. @throws StorageError FAILED */
  readText(path: string): Promise<string | undefined>;
  /** Whole or not at all, and on the disk. Replaces a file, never follows a symlink. */
  writeText(path: string, text: string, options: WriteOptions): Promise<void>;
  /** @returns false if it is there already, untouched */
  makeFolder(path: string, options: WriteOptions): Promise<boolean>;
  /** Of a folder or file; a symlink is refused. */
  setOwner(path: string, options: Required<WriteOptions>): Promise<void>;
  /** Names, sorted; empty if the folder is not there. */
  list(path: string): Promise<string[]>;
  /** A file; nothing if it is not there. */
  removeFile(path: string): Promise<void>;
  /** An empty folder. @returns false if something is in it, or it is not there */
  removeEmptyFolder(path: string): Promise<boolean>;
  mounts(): Promise<readonly MountFacts[]>;
  /** Undefined if the path is not there. */
  space(path: string): Promise<SpaceFacts | undefined>;

  /** Runs `act` while this process alone changes accounts. @throws StorageError LOCKED */
  exclusively<Value>(lockFile: string, act: () => Promise<Value>): Promise<Value>;
}
