import { spawn } from 'node:child_process';
import { hasCode } from '@bakker/linux';
import { AgentError } from '../../errors.ts';

/** What a program printed is kept to this length. A machine with thousands of volumes prints megabytes. */
const KEPT_BYTES = 64 * 2 ** 20;
const STANDARD_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const TIMEOUT_MS = 60_000;

export interface CommandEnd {
  /** Undefined if it is not installed. */
  readonly status: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CommandOptions {
  /**
   * Then it is asked to end, and waited for as long again: these programs hold devices suspended while they work. One that a
   * dead disk keeps in the kernel goes on by itself, and must not keep a run from ending, and from being told of.
   */
  readonly timeoutMs?: number;
  /** Inherited as descriptor `BUSY_FD`, for its lock: see busy.ts. */
  readonly busyFd?: number | undefined;
}

/** The first behind standard error. */
const BUSY_FD = 3;

/** Runs a program to its end, by argv, in the C locale. @throws AgentError SNAPSHOT_FAILED if it took too long */
export type RunCommand = (argv: readonly string[], options?: CommandOptions) => Promise<CommandEnd>;

/** @param path - where programs are looked for; by default as bakker itself does */
export function commandsFrom(path: string = process.env['PATH'] ?? STANDARD_PATH): RunCommand {
  return (argv, options = {}) => run(argv, { ...options, path });
}

/** The same for a command that has to succeed. @throws AgentError SNAPSHOT_FAILED with what it said */
export async function mustRun(
  command: RunCommand,
  argv: readonly string[],
  options?: CommandOptions,
): Promise<Buffer> {
  const end = await command(argv, options);
  if (end.status === 0) return end.stdout;
  throw commandFailed(argv, end);
}

export function commandFailed(argv: readonly string[], { status, stderr }: CommandEnd): AgentError {
  const name = argv.slice(0, 2).join(' ');
  if (status === undefined) {
    return new AgentError('SNAPSHOT_FAILED', `${argv[0] ?? ''} is not installed`, {
      hint: 'install it, or choose another "snapshot" (docs/snapshots.md)',
    });
  }
  return new AgentError('SNAPSHOT_FAILED', `${name} failed (status ${status}): ${stderr.trim()}`, {
    hint: 'docs/snapshots.md says what each provider needs',
  });
}

function run(
  argv: readonly string[],
  options: CommandOptions & { readonly path: string },
): Promise<CommandEnd> {
  const { timeoutMs = TIMEOUT_MS, busyFd, path } = options;
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: '/',
      // Not ended with bakker (nor by its unit, KillMode=process): what it works on must not stay half done.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', ...(busyFd === undefined ? [] : [busyFd])],
      env: {
        PATH: path,
        LC_ALL: 'C',
        LVM_SUPPRESS_FD_WARNINGS: '1',
        // LVM closes what it inherits, but this (lvmreport(7)); of its commands only `lvcreate` gets one, and reports nothing
        ...(busyFd === undefined ? {} : { LVM_REPORT_FD: String(BUSY_FD) }),
      },
    });
    let isLate = false;
    let timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGTERM');
      timer = setTimeout(() => reject(tookTooLong(argv, timeoutMs, ', and does not end')), timeoutMs);
    }, timeoutMs);
    const pieces: Buffer[] = [];
    let stdoutBytes = 0;
    let stderr = '';
    child.stdout?.on('data', (piece: Buffer) => {
      stdoutBytes += piece.length;
      if (stdoutBytes <= KEPT_BYTES) pieces.push(piece);
    });
    child.stderr?.on('data', (piece: Buffer) => {
      if (stderr.length < 4096) stderr += piece.toString();
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      if (hasCode(error, 'ENOENT')) {
        resolve({ status: undefined, stdout: Buffer.alloc(0), stderr: '' });
      } else reject(error);
    });
    child.once('close', (status, killedBy) => {
      clearTimeout(timer);
      if (isLate) reject(tookTooLong(argv, timeoutMs, ''));
      else
        resolve({
          status: status ?? 128,
          stdout: Buffer.concat(pieces),
          stderr: killedBy === null ? stderr : `killed by ${killedBy}`,
        });
    });
  });
}

function tookTooLong(argv: readonly string[], timeoutMs: number, more: string): AgentError {
  return new AgentError(
    'SNAPSHOT_FAILED',
    `${argv.slice(0, 2).join(' ')} took longer than ${timeoutMs / 1000} s${more}`,
    { hint: 'see what the disks and other LVM or btrfs commands are doing' },
  );
}
