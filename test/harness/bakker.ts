import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeTempFolder } from './temp-folder.ts';

/** The launcher that users start. */
export const BAKKER = resolve(import.meta.dirname, '../../packages/agent/bin/bakker');

const PLAIN = ['env', '-u', 'NODE_OPTIONS'];

export interface BakkerResult {
  /** Undefined when a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
  /** Standard output as one JSON value. @throws with both outputs if it is none */
  json<Value>(): Value;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the launcher: `['setpriv', '--reuid=nobody', …]`. */
  readonly through?: readonly string[];
  readonly input?: string;
  readonly cwd?: string;
}

export interface RunningBakker {
  readonly process: ChildProcess;
  readonly finished: Promise<BakkerResult>;
}

/** bakker with a configuration and state of its own. */
export interface Bakker extends AsyncDisposable {
  readonly folder: string;
  readonly configFile: string;
  readonly stateDir: string;
  run(args: readonly string[], options?: RunOptions): Promise<BakkerResult>;
  start(args: readonly string[], options?: RunOptions): RunningBakker;
}

/** Makes a temporary place for configuration and state. Any user may use it, so that a test can drop root. */
export async function installBakker(): Promise<Bakker> {
  const temp = await makeTempFolder('client');
  const configFile = join(temp.path, 'etc', 'bakker.yaml');
  const stateDir = join(temp.path, 'state');
  await chmod(temp.path, 0o755);
  await mkdir(join(temp.path, 'etc'));
  const common = ['--config', configFile, '--state', stateDir];
  const start = (args: readonly string[], options: RunOptions = {}): RunningBakker => {
    // tap follows every child by NODE_OPTIONS; users have none, and one who is not root could not write its notes.
    const [program = BAKKER, ...rest] = [...PLAIN, ...(options.through ?? []), BAKKER, ...args, ...common];
    const child = spawn(program, rest, {
      cwd: options.cwd ?? temp.path,
      env: { PATH: process.env['PATH'], HOME: temp.path, LANG: 'C.UTF-8', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {
      // It ended without reading what it was given.
    });
    child.stdin.end(options.input ?? '');
    return { process: child, finished: collect(child, args) };
  };
  return {
    folder: temp.path,
    configFile,
    stateDir,
    start,
    run: (args, options) => start(args, options).finished,
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

function collect(child: ChildProcess, args: readonly string[]): Promise<BakkerResult> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => err.push(bytes));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      const stdoutBytes = Buffer.concat(out);
      const stdout = stdoutBytes.toString();
      const stderr = Buffer.concat(err).toString();
      resolve({
        status: status ?? undefined,
        stdout,
        stdoutBytes,
        stderr,
        json<Value>(): Value {
          try {
            return JSON.parse(stdout) as Value;
          } catch {
            throw new Error(`bakker ${args.join(' ')}: no JSON (status ${status})\n${stdout}\n${stderr}`);
          }
        },
      });
    });
  });
}
