import { readFileSync } from 'node:fs';
import { Client, type ClientChannel } from 'ssh2';

/** An emulated processor needs seconds for a log-in. */
const LOG_IN_TIMEOUT_MS = 300_000;
const ALIVE_INTERVAL_MS = 15_000;
/** How much longer than its own limit a command is waited for: its `timeout` ends it, unless the machine hangs. */
const GRACE_MS = 120_000;
/** What `timeout` of coreutils exits with. */
const TIMED_OUT = 124;

export interface CommandOptions {
  /** When it has not ended by then it is killed and `run` throws. Default: half an hour, so that no load of this machine is mistaken for a fault. */
  readonly timeoutMs?: number;
  readonly input?: string | Buffer;
  /** Called with each piece of standard output as it arrives. */
  readonly onOutput?: (text: string) => void;
}

export interface CommandResult {
  /** Undefined when a signal ended it, or the machine went away meanwhile. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** One log-in as root that many commands run over. */
export interface RemoteShell {
  /** Runs a command line by bash. @throws if it takes too long; a failing command is a result */
  run(command: string, options?: CommandOptions): Promise<CommandResult>;
  close(): void;
}

export interface RemoteShellOptions {
  readonly port: number;
  readonly identityFile: string;
  /** Base64 of the only host key that is taken. */
  readonly hostKey: string;
}

/** Logs in once. @throws if the server does not answer or is another one */
export async function openRemoteShell(options: RemoteShellOptions): Promise<RemoteShell> {
  const client = new Client();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    client.once('close', () => {
      reject(new Error('the machine closed the connection before the log-in'));
    });
    client.connect({
      host: '127.0.0.1',
      port: options.port,
      username: 'root',
      privateKey: readFileSync(options.identityFile),
      hostVerifier: (key: Buffer) => key.toString('base64') === options.hostKey,
      readyTimeout: LOG_IN_TIMEOUT_MS,
      keepaliveInterval: ALIVE_INTERVAL_MS,
      keepaliveCountMax: 40,
    });
  });
  client.on('error', () => {
    // The machine went away: 'close' follows, and each command that runs ends without a status.
  });
  return {
    run: (command, runOptions = {}) => runCommand(client, command, runOptions),
    close: () => {
      client.destroy();
    },
  };
}

async function runCommand(client: Client, command: string, options: CommandOptions): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 1_800_000;
  // Closing a channel ends nothing at the far side; `timeout` ends the command with all its children.
  const limited = `exec timeout -k 5 ${Math.ceil(timeoutMs / 1000)} bash -c ${quoted(command)}`;
  const channel = await openChannel(client, limited);
  if (!channel) return { status: undefined, stdout: '', stderr: '' };
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  channel.on('data', (bytes: Buffer) => {
    out.push(bytes);
    options.onOutput?.(bytes.toString());
  });
  channel.stderr.on('data', (bytes: Buffer) => err.push(bytes));
  channel.on('error', () => {
    // It ended without reading what it was given.
  });
  channel.end(options.input ?? '');
  const said = (): string => `${Buffer.concat(out).toString()}${Buffer.concat(err).toString()}`;
  const tooLong = (): Error => new Error(`took longer than ${timeoutMs} ms: ${command}\n${said()}`);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const timer = setTimeout(() => {
      channel.close();
      reject(tooLong());
    }, timeoutMs + GRACE_MS);
    let exitStatus: number | undefined;
    channel.on('exit', (code: number | null) => {
      exitStatus = code ?? undefined;
    });
    channel.on('close', () => {
      clearTimeout(timer);
      client.off('close', onGone);
      resolve(exitStatus);
    });
    const onGone = (): void => {
      clearTimeout(timer);
      resolve(undefined);
    };
    client.once('close', onGone);
  });
  if (status === TIMED_OUT) throw tooLong();
  return { status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** @returns undefined if the machine went away before it answered */
function openChannel(client: Client, command: string): Promise<ClientChannel | undefined> {
  return new Promise((resolve, reject) => {
    const onGone = (): void => {
      resolve(undefined);
    };
    client.once('close', onGone);
    client.exec(command, (error, channel) => {
      client.off('close', onGone);
      // A connection that breaks says 'close' before it fails the requests under way.
      if (error) reject(error);
      else resolve(channel);
    });
  });
}

/** One word of a shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
