import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A private database server on a socket in a folder of its own. */
export class Server implements AsyncDisposable {
  readonly folder: string;
  readonly socket: string;
  readonly process: ChildProcess;

  constructor(folder: string, socket: string, process: ChildProcess) {
    this.folder = folder;
    this.socket = socket;
    this.process = process;
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }

  /** Its data as a snapshot of the volume would have it: all of one moment. */
  copyData(to: string): void {
    this.process.kill('SIGSTOP');
    execFileSync('cp', ['-a', path.join(this.folder, 'data'), to]);
    this.process.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function startMariadb(from?: string): Promise<Server> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-maria-'));
  const data = path.join(folder, 'data');
  const socket = path.join(folder, 'sock');
  if (from === undefined) {
    execFileSync('mariadb-install-db', [
      ...['--no-defaults', '--user=root', `--datadir=${data}`, '--skip-test-db', '--skip-name-resolve'],
      ...['--auth-root-authentication-method=normal', '--innodb-log-file-size=4M'],
    ]);
  } else fs.cpSync(from, data, { recursive: true });
  const server = spawn(
    'mariadbd',
    [
      ...['--no-defaults', '--user=root', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking'],
      ...[
        '--innodb-buffer-pool-size=16M',
        '--innodb-log-file-size=4M',
        '--skip-name-resolve',
        `--pid-file=${folder}/pid`,
      ],
    ],
    { stdio: ['ignore', 'ignore', fs.openSync(path.join(folder, 'log'), 'w')] },
  );
  return await ready(new Server(folder, socket, server), () => mariadb(socket, 'SELECT 1') === '1');
}

export function mariadb(socket: string, sql: string, words: readonly string[] = []): string {
  const args = ['--no-defaults', `--socket=${socket}`, '-uroot', '-N', '-B', ...words];
  return execFileSync('mariadb', args, {
    input: sql,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  }).trim();
}

const PG_BIN = '/usr/lib/postgresql';

/** As the user `postgres`: the server does not run as root. */
export async function startPostgresql(from?: string, prepare?: (data: string) => void): Promise<Server> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-pg-'));
  const data = path.join(folder, 'data');
  execFileSync('chown', ['postgres:', folder]);
  const bin = path.join(PG_BIN, fs.readdirSync(PG_BIN).toSorted().at(-1) ?? '', 'bin');
  if (from === undefined) {
    execFileSync(
      'setpriv',
      [...AS_POSTGRES, `${bin}/initdb`, '-D', data, '--no-sync', '-A', 'trust', '--wal-segsize=1'],
      { cwd: '/' },
    );
  } else {
    execFileSync('cp', ['-a', from, data]);
    fs.rmSync(path.join(data, 'postmaster.pid'), { force: true });
  }
  prepare?.(data);
  const server = spawn(
    'setpriv',
    [
      ...AS_POSTGRES,
      `${bin}/postgres`,
      '-D',
      data,
      '-k',
      folder,
      '-c',
      'listen_addresses=',
      '-c',
      'shared_buffers=8MB',
    ],
    { cwd: '/', stdio: ['ignore', 'ignore', fs.openSync(path.join(folder, 'log'), 'w')] },
  );
  return await ready(new Server(folder, folder, server), () => psql(folder, 'SELECT 1') === '1');
}

const AS_POSTGRES = ['--reuid=postgres', '--regid=postgres', '--init-groups', '--'];

export function psql(socket: string, sql: string, database = 'postgres'): string {
  const args = [
    '-X',
    '-q',
    '-A',
    '-t',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    socket,
    '-U',
    'postgres',
    '-d',
    database,
  ];
  return execFileSync('psql', args, {
    input: sql,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
  }).trim();
}

export async function startRedis(...words: string[]): Promise<Server> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bakker-redis-'));
  const socket = path.join(folder, 'sock');
  const server = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', ...words],
    { stdio: 'ignore' },
  );
  return await ready(new Server(folder, socket, server), () => {
    const { stdout } = spawnSync('redis-cli', ['-s', socket, 'PING'], { encoding: 'utf8' });
    return /PONG|NOAUTH/.test(stdout);
  });
}

async function ready(server: Server, answers: () => boolean): Promise<Server> {
  for (;;) {
    try {
      if (answers()) return server;
    } catch {
      // not yet
    }
    if (server.process.exitCode !== null) {
      throw new Error(`the server ended: ${fs.readFileSync(path.join(server.folder, 'log'), 'utf8')}`);
    }
    await sleep(50);
  }
}

/** A client that writes numbered rows as quickly as it can, one transaction each. */
export class LedgerWriter implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  /** @param client - reads statements from its standard input */
  constructor(client: readonly string[], statement: string) {
    const [program = '', ...args] = client;
    this.#child = spawn(program, args, { cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] });
    this.#ended = once(this.#child, 'exit');
    this.#child.stdin?.on('error', () => undefined);
    const write = (): void => void this.#child.stdin?.write(`${statement}\n`);
    // each answer lets the next one go
    this.#child.stdout?.on('data', write);
    write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Waits until a figure has grown by a few. */
export async function grows(read: () => number): Promise<void> {
  const before = read();
  while (read() < before + 3) await sleep(20);
}

/** The one process of this program that has this word among its arguments. */
export function findProcess(program: string, word: string): number {
  const found = fs.readdirSync('/proc').filter((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words[0] === program && words.includes(word);
    } catch {
      return false;
    }
  });
  if (found.length !== 1) throw new Error(`${found.length} processes of ${program}`);
  return Number(found[0]);
}
