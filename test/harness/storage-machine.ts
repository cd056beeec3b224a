import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from './at-exit.ts';
import { ensurePrivilegeFolder } from './privilege-folder.ts';
import { descendantsOf, isAlive, killAndWait, runTool } from './processes.ts';

/** The launcher that a storage's administrator starts. */
export const BAKKER_STORAGE = resolve(import.meta.dirname, '../../packages/storage-shell/bin/bakker-storage');

const HOST = '127.0.0.1';
const SSHD = '/usr/sbin/sshd';
const PREFIX = '/var/lib/bakker-storage-';
const PLAIN = ['env', '-u', 'NODE_OPTIONS'];

export interface ToolEnd {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A storage machine as `bakker-storage provision` finds and leaves it: real users, real key files and a real sshd on loopback
 * whose configuration includes the drop-in; only the places are its own, said in a storage.yaml. For root.
 */
export interface StorageMachine extends AsyncDisposable {
  readonly folder: string;
  readonly etc: string;
  readonly rootDir: string;
  /** Unix group of this machine's accounts. */
  readonly group: string;
  readonly dropIn: string;
  readonly fstab: string;
  readonly port: number;
  readonly hostKeyFingerprint: string;
  /** An account name that no other test has. */
  newName(): string;
  /** A new key pair; `.pub` lies beside it. */
  newKey(comment?: string): Promise<{ file: string; publicKey: string }>;
  run(
    args: readonly string[],
    options?: { env?: Record<string, string>; through?: readonly string[] },
  ): Promise<ToolEnd>;
  /** The system's ssh, which offers that key only. */
  ssh(
    user: string,
    keyFile: string,
    options?: { args?: readonly string[]; command?: string; input?: string },
  ): Promise<ToolEnd>;
  sshdLog(): string;
}

export async function startStorageMachine(): Promise<StorageMachine> {
  await reap();
  const folder = await mkdtemp(`${PREFIX}${process.pid}-`);
  await chmod(folder, 0o755);
  const group = `bkg${Math.random().toString(36).slice(2, 10)}`;
  const etc = join(folder, 'etc');
  const rootDir = join(folder, 'backups');
  const dropIn = join(folder, 'sshd_config.d', 'bakker.conf');
  const config = join(folder, 'sshd_config');
  const fstab = join(folder, 'fstab');
  const pidFile = join(folder, 'sshd.pid');
  await mkdir(etc);
  await mkdir(join(folder, 'sshd_config.d'));
  await mkdir(join(folder, 'ids'), { mode: 0o700 });
  await writeFile(fstab, '/dev/sda1 / ext4 defaults 0 1\n');
  await ensurePrivilegeFolder();
  const hostKey = join(folder, 'host_key');
  await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'host', '-f', hostKey]);
  const fingerprint =
    (await runTool('ssh-keygen', ['-l', '-E', 'sha256', '-f', `${hostKey}.pub`])).split(' ')[1] ?? '';
  await writeFile(
    join(etc, 'storage.yaml'),
    [
      `group: ${group}`,
      `sshd-config: ${config}`,
      `sshd-drop-in: ${dropIn}`,
      `sshd-pid-file: ${pidFile}`,
      `fstab: ${fstab}`,
      '',
    ].join('\n'),
  );
  const port = await freePort();
  // As Debian's: the drop-ins first, then what holds for everybody.
  await writeFile(
    config,
    [
      `Include ${folder}/sshd_config.d/*.conf`,
      `ListenAddress ${HOST}`,
      `Port ${port}`,
      `HostKey ${hostKey}`,
      `PidFile ${pidFile}`,
      `AuthorizedKeysFile ${folder}/other-keys/%u`,
      'UsePAM no',
      'KbdInteractiveAuthentication no',
      'X11Forwarding yes',
      'PrintMotd no',
      'MaxStartups 100',
      'AcceptEnv LANG LC_* NODE_OPTIONS',
      'Subsystem sftp internal-sftp',
      '',
    ].join('\n'),
  );
  let log = '';
  const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', SSHD, '-D', '-e', '-f', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-65_536);
  });
  for (let waited = 0; !log.includes('Server listening on'); waited += 1) {
    if (daemon.exitCode !== null || waited > 500) throw new Error(`sshd does not start:\n${log}`);
    await delay(20);
  }
  const forget = atExit(() => {
    daemon.kill('SIGKILL');
    removeUsers(folder, group);
    rmSync(folder, { recursive: true, force: true });
  });
  const storage = (args: readonly string[], through: readonly string[] = []): string[] => [
    ...PLAIN,
    ...through,
    BAKKER_STORAGE,
    ...args,
    ...['--etc', etc],
    ...(args[0] === 'provision' && !args.includes('--root') ? ['--root', rootDir] : []),
  ];
  let keys = 0;
  return {
    folder,
    etc,
    rootDir,
    group,
    dropIn,
    fstab,
    port,
    hostKeyFingerprint: fingerprint,
    sshdLog: () => log,
    newName: () => `bk${Math.random().toString(36).slice(2, 10)}`,
    async newKey(comment = 'server') {
      keys += 1;
      const file = join(folder, 'ids', `id-${keys}`);
      await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file]);
      return { file, publicKey: (await readFile(`${file}.pub`, 'utf8')).trim() };
    },
    run: (args, options = {}) => end(storage(args, options.through), { env: options.env }),
    ssh: (user, keyFile, options = {}) =>
      end(
        [
          ...['ssh', '-F', 'none', '-p', String(port), '-i', keyFile, '-l', user],
          ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no'],
          ...['-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=20'],
          ...(options.args ?? []),
          HOST,
          ...(options.command === undefined ? [] : [options.command]),
        ],
        { input: options.input },
      ),
    async [Symbol.asyncDispose]() {
      forget();
      if (daemon.pid !== undefined) await killAndWait([daemon.pid, ...(await descendantsOf(daemon.pid))]);
      removeUsers(folder, group);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function end(
  argv: readonly string[],
  options: { env?: Record<string, string> | undefined; input?: string | undefined } = {},
): Promise<ToolEnd> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: '/root', LC_ALL: 'C.UTF-8', ...options.env },
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      done({ status: status ?? undefined, stdout, stderr });
    });
  });
}

/** Accounts are told by their home or group, whatever a test called them: one on a disk of its own has its home elsewhere. */
function removeUsers(folder: string, group: string | undefined): void {
  const members = group === undefined ? [] : membersOf(group);
  for (const { name, home } of users()) {
    if (home.startsWith(`${folder}/`) || members.includes(name))
      spawnSync('userdel', ['-f', name], { stdio: 'ignore' });
  }
  if (group !== undefined) spawnSync('groupdel', [group], { stdio: 'ignore' });
}

function membersOf(group: string): string[] {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${group}:`));
  return line?.split(':')[3]?.split(',') ?? [];
}

/** What a killed process left. */
async function reap(): Promise<void> {
  for (const entry of await readdir('/var/lib')) {
    const pid = /^bakker-storage-(\d+)-/.exec(entry)?.[1];
    if (pid === undefined || (await isAlive(Number(pid)))) continue;
    const folder = `/var/lib/${entry}`;
    const config = await readFile(`${folder}/etc/storage.yaml`, 'utf8').catch(() => '');
    removeUsers(folder, /^group: (bkg\w+)$/m.exec(config)?.[1]);
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

function users(): { name: string; home: string }[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', , , , , home = ''] = line.split(':');
      return { name, home };
    });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, reject) => {
    server.once('error', reject).listen(0, HOST, done);
  });
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no free port on loopback');
  return address.port;
}
