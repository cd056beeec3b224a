import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { AgentError } from '../../errors.ts';
import { findUser, ownUser } from './os-user.ts';
import type { OsUser } from './os-user.ts';
import { markEnvironment } from './strays.ts';

/** What a program printed is kept to this length: its end says why it failed. */
const KEPT_BYTES = 65_536;
/** Between asking a program to end and making it. */
const KILL_AFTER_MS = 2_000;
/** For what is still in the pipes once a program has ended; something that it left running may hold them open for ever. */
const DRAIN_MS = 300;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ChildOptions {
  readonly argv: readonly string[];
  /** Whom it runs as; undefined for whom bakker runs as. */
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  /** Beside the few variables that every program needs; the rest of bakker's own environment is not passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** See strays.ts. */
  readonly mark?: string | undefined;
  /** Opens a file that the program gets as descriptor 3; it is closed here. */
  readonly descriptor?: ((user: OsUser) => number) | undefined;
  /** Killed by the kernel when bakker dies, however that happens. */
  readonly diesWithUs?: boolean;
  /** Leave standard output to the caller, and let it write to standard input. */
  readonly isPiped?: boolean;
  readonly signal: AbortSignal;
}

export interface Child {
  /** Only if `isPiped`. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** Resolves with what it printed (unless piped) once it has ended well. @throws AgentError QUIESCE_FAILED */
  readonly ended: Promise<{ readonly stdout: string }>;
  /** Kills it with all it started in its group. */
  kill(): void;
}

/** Runs a program to its end. @throws AgentError QUIESCE_FAILED with the last that it said */
export async function run(options: ChildOptions): Promise<{ readonly stdout: string }> {
  const child = await start(options);
  return child.ended;
}

/** Starts a program in a process group of its own; when the signal aborts the whole group is ended. */
export async function start(options: ChildOptions): Promise<Child> {
  const { argv, signal, isPiped = false } = options;
  const user = options.user === undefined ? ownUser() : await findUser(options.user);
  signal.throwIfAborted();
  const descriptor = options.descriptor?.(user);
  const [program = '', ...args] = asUser(argv, user, options.diesWithUs === true);
  const child = spawn(program, args, {
    cwd: options.cwd ?? '/',
    // a session of its own: no terminal, and one group to end it by
    detached: true,
    stdio: [isPiped ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(descriptor === undefined ? [] : [descriptor])],
    env: {
      PATH: process.env['PATH'] ?? PATH,
      LC_ALL: 'C',
      HOME: user.home,
      USER: user.name,
      LOGNAME: user.name,
      SHELL: user.shell,
      ...(options.mark === undefined ? {} : markEnvironment(options.mark)),
      ...options.env,
    },
  });
  if (descriptor !== undefined) fs.closeSync(descriptor);
  child.stdin?.on('error', () => undefined); // its end says more than EPIPE
  const said = isPiped ? [tail(child.stderr)] : [tail(child.stdout), tail(child.stderr)];
  const ended = watch(child, { name: argv[0] ?? '', said, isPiped, signal });
  ended.catch(() => undefined); // whoever waits is told
  return {
    stdin: child.stdin,
    stdout: isPiped ? child.stdout : null,
    ended,
    kill: () => {
      if (child.exitCode === null && child.signalCode === null) killGroup(child, 'SIGKILL');
    },
  };
}

/** `setpriv` gives the user's other groups too, which spawn's own uid and gid would drop. */
function asUser(argv: readonly string[], user: OsUser, diesWithUs: boolean): readonly string[] {
  const isOther = user.uid !== process.getuid?.();
  if (!isOther && !diesWithUs) return argv;
  return [
    'setpriv',
    ...(isOther ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups'] : []),
    ...(diesWithUs ? ['--pdeathsig', 'KILL'] : []),
    '--',
    ...argv,
  ];
}

interface WatchOptions {
  readonly name: string;
  readonly said: readonly Tail[];
  readonly isPiped: boolean;
  readonly signal: AbortSignal;
}

function watch(
  child: ChildProcess,
  { name, said, isPiped, signal }: WatchOptions,
): Promise<{ stdout: string }> {
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    killGroup(child, 'SIGTERM');
    killTimer = setTimeout(() => killGroup(child, 'SIGKILL'), KILL_AFTER_MS);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const settle = (failure: string | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(killTimer);
      signal.removeEventListener('abort', stop);
      // of a group that was told to end, nothing is left running
      if (signal.aborted) killGroup(child, 'SIGKILL');
      const output = said.map((part) => part.text());
      if (failure === undefined) resolve({ stdout: isPiped ? '' : (output[0] ?? '') });
      else reject(failed(`${name} ${failure}`, output.findLast((text) => text.trim() !== '') ?? ''));
    };
    child.once('error', (error) => settle(`can't be started: ${error.message}`));
    child.once('exit', (status, killedBy) => {
      const failure = whyFailed(status, killedBy, signal.aborted);
      const drained = setTimeout(() => {
        if (!isPiped) child.stdout?.destroy();
        child.stderr?.destroy();
        settle(failure);
      }, DRAIN_MS);
      child.once('close', () => {
        clearTimeout(drained);
        settle(failure);
      });
    });
  });
}

function whyFailed(status: number | null, killedBy: string | null, wasStopped: boolean): string | undefined {
  if (wasStopped) return 'was stopped';
  if (killedBy !== null) return `was killed by ${killedBy}`;
  return status === 0 ? undefined : `ended with status ${status}`;
}

function failed(what: string, output: string): AgentError {
  const said = output.trim().slice(-1_000);
  return new AgentError('QUIESCE_FAILED', said === '' ? what : `${what}: ${said}`);
}

interface Tail {
  text(): string;
}

function tail(stream: Readable | null): Tail {
  let kept: Buffer = Buffer.alloc(0);
  stream
    ?.on('error', () => undefined)
    .on('data', (bytes: Buffer) => {
      kept = Buffer.concat([kept, bytes]);
      if (kept.length > 2 * KEPT_BYTES) kept = kept.subarray(-KEPT_BYTES);
    });
  return { text: () => kept.subarray(-KEPT_BYTES).toString('utf8') };
}

function killGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch {
    // nothing of it is left
  }
}
