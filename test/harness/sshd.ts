import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensurePrivilegeFolder } from './privilege-folder.ts';
import { descendantsOf, isAlive, killAndWait, runTool } from './processes.ts';
import { addUser, reapLeftUsers, removeUser, removeUserSync } from './unix-users.ts';

const HOST = '127.0.0.1';
const SSHD = '/usr/sbin/sshd';
/** With our process id, so that what a killed process left can be told. */
const FOLDER_NAME = `bakker-sshd-${process.pid}-`;
/** Nobody but root writes here, as a chroot needs it; /tmp would not do. */
const ROOT_FOLDER = '/var/lib';

export interface SshdOptions {
  readonly maxSessions?: number;
  readonly compression?: 'yes' | 'no';
  readonly ciphers?: string;
  /** False leaves the `Subsystem sftp` line out. */
  readonly sftpSubsystem?: boolean;
  /** More lines for sshd_config, before the `Match` block. */
  readonly extraLines?: readonly string[];
  /**
   * Folder that the accounts' folders are made in; it must exist, and for chroot be root's up to `/`.
   * By default a new one below /var/lib (as root) or the temporary folder, removed at the end.
   */
  readonly accountsFolder?: string;
}

export interface AccountOptions {
  /** Locks the account into its folder (needs root): the address then ends in `/data`. */
  readonly chroot?: boolean;
  /** A Unix user of its own; by default exactly when this process is root. */
  readonly ownUser?: boolean;
  /** Put before the key in authorized_keys: `restrict,command="internal-sftp"`. */
  readonly keyOptions?: string;
  /** False leaves authorized_keys empty, see `authorise`. */
  readonly authorised?: boolean;
}

export interface SshAccount {
  readonly user: string;
  /** `ssh://user@127.0.0.1:port/path` */
  readonly address: string;
  /** The path in the address: the account's folder as SFTP sees it. */
  readonly path: string;
  readonly identityFile: string;
  /** The folder as it lies on this disk. */
  readonly folder: string;
  /** Replaces authorized_keys by these lines. */
  authorise(lines: readonly string[]): Promise<void>;
}

export interface SshServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Of the process that listens; undefined while stopped. */
  readonly pid: number | undefined;
  /** `SHA256:…` of the ed25519 host key. */
  readonly hostKeyFingerprint: string;
  /** The line for a known_hosts file. */
  readonly knownHostsLine: string;
  addAccount(options?: AccountOptions): Promise<SshAccount>;
  /** Stops listening and cuts every connection; idempotent. */
  stop(): Promise<void>;
  /** The same port and accounts again, if asked with another host key. */
  restart(options?: { newHostKey?: boolean }): Promise<void>;
  /** Cuts every connection, goes on listening. */
  killConnections(): Promise<void>;
  /** The last part of what sshd said. */
  log(): string;
}

/**
 * Starts a private OpenSSH server on loopback with its own host key and configuration. Disposing stops it and removes its
 * users and folders; it also ends when this process dies.
 */
export async function startSshd(options: SshdOptions = {}): Promise<SshServer> {
  await reapLeftUsers();
  await reapLeftFolders();
  const folder = await mkdtemp(join(tmpdir(), FOLDER_NAME));
  try {
    // sshd reads authorized_keys as the user who logs in.
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'authorized'));
    await makeHostKey(folder);
    const accountsFolder = options.accountsFolder ?? (await makeAccountsFolder(folder));
    const server = new PrivateSshd({ folder, accountsFolder, options });
    await server.start();
    return server;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

const isRoot = (): boolean => process.getuid?.() === 0;

class PrivateSshd implements SshServer {
  readonly host = HOST;
  port = 0;
  hostKeyFingerprint = '';
  knownHostsLine = '';
  readonly #folder: string;
  readonly #accountsFolder: string;
  readonly #options: SshdOptions;
  readonly #users: string[] = [];
  readonly #accountFolders: string[] = [];
  #daemon: ChildProcess | undefined;
  #log = '';

  constructor(parts: { folder: string; accountsFolder: string; options: SshdOptions }) {
    this.#folder = parts.folder;
    this.#accountsFolder = parts.accountsFolder;
    this.#options = parts.options;
    process.on('exit', this.#cleanUpNow);
  }

  async start(): Promise<void> {
    await ensurePrivilegeFolder();
    for (let attempt = 1; ; attempt += 1) {
      if (this.port === 0) this.port = await findFreePort();
      await this.#readHostKey();
      await writeFile(join(this.#folder, 'sshd.conf'), await this.#configuration());
      if (await this.#launch()) return;
      if (attempt === 20) throw new Error(`sshd does not start:\n${this.#log}`);
      if (this.#accountFolders.length === 0) this.port = 0;
      else await delay(100);
    }
  }

  get pid(): number | undefined {
    return this.#daemon?.pid;
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon?.pid === undefined) return;
    const below = await descendantsOf(daemon.pid);
    await killAndWait([daemon.pid, ...below]);
  }

  async restart(options: { newHostKey?: boolean } = {}): Promise<void> {
    await this.stop();
    if (options.newHostKey === true) await makeHostKey(this.#folder);
    await this.start();
  }

  async killConnections(): Promise<void> {
    const pid = this.#daemon?.pid;
    if (pid !== undefined) await killAndWait(await descendantsOf(pid));
  }

  log(): string {
    return this.#log;
  }

  async addAccount(options: AccountOptions = {}): Promise<SshAccount> {
    const isChrooted = options.chroot ?? false;
    const hasOwnUser = options.ownUser ?? isRoot();
    if (isChrooted && !(isRoot() && hasOwnUser)) throw new Error('a chrooted account needs root');
    const id = Math.random().toString(36).slice(2, 10);
    // The configuration tells the two kinds apart by this prefix, so that no account needs a reload.
    const name = `bk${isChrooted ? 'c' : 'p'}${id}`;
    const base = join(this.#accountsFolder, name);
    const folder = isChrooted ? join(base, 'data') : base;
    const path = isChrooted ? '/data' : folder;
    await mkdir(folder, { recursive: true, mode: 0o755 });
    this.#accountFolders.push(base);
    if (hasOwnUser) {
      this.#users.push(name);
      const { uid, gid } = await addUser({ name, home: path });
      await chown(folder, uid, gid);
    }
    await chmod(folder, 0o700);

    const user = hasOwnUser ? name : userInfo().username;
    const identityFile = join(this.#folder, `id-${name}`);
    await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', identityFile]);
    const authorized = join(this.#folder, 'authorized', user);
    if (options.authorised !== false) {
      const publicKey = await readFile(`${identityFile}.pub`, 'utf8');
      const prefix = options.keyOptions === undefined ? '' : `${options.keyOptions} `;
      await writeFile(authorized, `${prefix}${publicKey}`, { flag: 'a', mode: 0o644 });
    }
    return {
      user,
      address: `ssh://${user}@${HOST}:${this.port}${path}`,
      path,
      identityFile,
      folder,
      authorise: (lines) => writeFile(authorized, lines.map((line) => `${line}\n`).join('')),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#cleanUpNow);
    await this.stop();
    for (const user of this.#users.splice(0)) await removeUser(user);
    // a session of an account may still write its last note after its client has gone
    for (const folder of this.#ownFolders())
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** For a test that ends without disposing; SIGKILL is covered by sshd's parent-death signal and `reapLeftUsers`. */
  readonly #cleanUpNow = (): void => {
    this.#daemon?.kill('SIGKILL');
    for (const user of this.#users.splice(0)) removeUserSync(user);
    for (const folder of this.#ownFolders()) rmSync(folder, { recursive: true, force: true });
  };

  #ownFolders(): string[] {
    const isOwn = this.#options.accountsFolder === undefined;
    return [...this.#accountFolders, ...(isOwn ? [this.#accountsFolder] : []), this.#folder];
  }

  async #launch(): Promise<boolean> {
    this.#log = '';
    const daemon = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', SSHD, '-D', '-e', '-f', join(this.#folder, 'sshd.conf')],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      },
    );
    return new Promise((resolve, reject) => {
      daemon.on('error', reject);
      daemon.on('exit', () => {
        resolve(false);
      });
      daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-65_536);
        if (!this.#log.includes('Server listening on')) return;
        this.#daemon = daemon;
        resolve(true);
      });
    });
  }

  async #readHostKey(): Promise<void> {
    const file = join(this.#folder, 'host_key.pub');
    const printed = await runTool('ssh-keygen', ['-l', '-E', 'sha256', '-f', file]);
    this.hostKeyFingerprint = printed.split(' ')[1] ?? '';
    const [type, key] = (await readFile(file, 'utf8')).split(' ');
    this.knownHostsLine = `[${HOST}]:${this.port} ${type} ${key}`;
  }

  async #configuration(): Promise<string> {
    const { maxSessions = 10, compression = 'yes', ciphers, sftpSubsystem = true } = this.#options;
    const lines = [
      `ListenAddress ${HOST}`,
      `Port ${this.port}`,
      `HostKey ${join(this.#folder, 'host_key')}`,
      `AuthorizedKeysFile ${join(this.#folder, 'authorized')}/%u`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'PubkeyAuthentication yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'PrintMotd no',
      'MaxStartups 100',
      `MaxSessions ${maxSessions}`,
      `Compression ${compression}`,
      ...(ciphers === undefined ? [] : [`Ciphers ${ciphers}`]),
      ...(sftpSubsystem ? ['Subsystem sftp internal-sftp'] : []),
      ...(this.#options.extraLines ?? []),
      ...((await knowsPenalties(this.#folder)) ? ['PerSourcePenalties no'] : []),
      'Match User bkc*',
      `  ChrootDirectory ${this.#accountsFolder}/%u`,
    ];
    return `${lines.join('\n')}\n`;
  }
}

async function makeAccountsFolder(folder: string): Promise<string> {
  if (!isRoot()) {
    await mkdir(join(folder, 'accounts'));
    return join(folder, 'accounts');
  }
  const made = await mkdtemp(join(ROOT_FOLDER, FOLDER_NAME));
  await chmod(made, 0o755);
  return made;
}

/** Removes the folders of processes that were killed before they could. */
async function reapLeftFolders(): Promise<void> {
  for (const parent of [tmpdir(), ...(isRoot() ? [ROOT_FOLDER] : [])]) {
    for (const name of await readdir(parent)) {
      const pid = /^bakker-sshd-(\d+)-/.exec(name)?.[1];
      if (pid === undefined || (await isAlive(Number(pid)))) continue;
      await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

async function makeHostKey(folder: string): Promise<void> {
  const file = join(folder, 'host_key');
  await rm(file, { force: true });
  await rm(`${file}.pub`, { force: true });
  await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bakker-sshd', '-f', file]);
}

/** OpenSSH 9.8 and later lock out an address after failed log-ins, which tests make on purpose. */
async function knowsPenalties(folder: string): Promise<boolean> {
  const hostKey = join(folder, 'host_key');
  try {
    await runTool(SSHD, ['-t', '-f', '/dev/null', '-h', hostKey, '-o', 'PerSourcePenalties=no']);
    return true;
  } catch {
    return false;
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, HOST, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on loopback');
  return address.port;
}
