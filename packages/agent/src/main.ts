import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { systemClock } from './adapters/system-clock.ts';
import { openTerminalProgress } from './adapters/terminal-progress.ts';
import type { VisibleProgress } from './adapters/terminal-progress.ts';
import { readCommandLine } from './cli/command-line.ts';
import type { CommandContext } from './cli/command.ts';
import { COMMANDS } from './cli/commands.ts';
import { explainFailure } from './cli/explain-failure.ts';
import type { GlobalValues } from './cli/global-flags.ts';
import { renderCommandHelp, renderOverview } from './cli/help.ts';
import type { ListedCommand, ParsedArgs, Performed } from './cli/listed-command.ts';
import { VERSION } from './cli/version.ts';
import { OutputClosed, writeResult } from './cli/write-result.ts';
import { loadConfig } from './config/load-config.ts';
import { AgentError, EXIT_STATUS } from './errors.ts';

/** Adapters are imported when a command asks for them: `--help` and `completion` load none. */
interface Session {
  readonly globals: GlobalValues;
  readonly progress: VisibleProgress;
  readonly opened: AsyncDisposableStack;
}

const stop = new AbortController();
let hasEnded = false;
process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);
process.on('uncaughtException', (error) => {
  hasEnded = true;
  process.exit(report(error));
});
// Failed writes are told to whoever wrote; without a listener the event would end the process.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

// Node ends a process that waits for nothing with status 13, which means something else here.
process.exitCode = 1;
process.on('exit', () => {
  if (!hasEnded) process.stderr.write('bakker: unexpected end: it waited for something that never comes\n');
});

const exitStatus = await main(process.argv.slice(2)).catch(report);
hasEnded = true;
process.exit(exitStatus);

async function main(words: readonly string[]): Promise<number> {
  const asked = await readCommandLine(words, COMMANDS);
  switch (asked.kind) {
    case 'version':
      await writeText(`${VERSION}\n`).catch(ignoreClosed);
      return 0;
    case 'help': {
      const text =
        asked.command === undefined ? renderOverview(COMMANDS) : await renderCommandHelp(asked.command);
      await writeText(text).catch(ignoreClosed);
      return 0;
    }
    case 'run': {
      const performed = await perform(asked.command, asked.globals, asked.args);
      if (performed === undefined) return 0;
      await writeResult(performed, { json: asked.globals.json, write: writeText }).catch(ignoreClosed);
      return performed.exitStatus;
    }
  }
}

/** Undefined if the reader of standard output went away before the command was done. */
async function perform(
  command: ListedCommand,
  globals: GlobalValues,
  args: ParsedArgs,
): Promise<Performed | undefined> {
  using progress = openTerminalProgress({
    stream: process.stderr,
    isQuiet: globals.quiet,
    nowMs: () => performance.now(),
  });
  await using opened = new AsyncDisposableStack();
  try {
    return await command.perform(createContext({ globals, progress, opened }), args);
  } catch (error) {
    if (error instanceof OutputClosed) return undefined;
    throw error;
  }
}

function createContext({ globals, progress, opened }: Session): CommandContext {
  const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
  const { signal } = stop;
  const configFile = resolve(globals.configFile);
  const stateDir = resolve(globals.stateDir);
  const config = once(() => loadConfig(configFile, (file) => readFile(file, 'utf8')));
  const reopenAccount = async () => {
    const { openAccount } = await import('./adapters/open-account.ts');
    return openAccount(await config(), { signal, progress });
  };
  return {
    configFile,
    stateDir,
    clock: systemClock,
    progress,
    signal,
    isInteractive,
    config,
    reopenAccount,
    host: hostname(),
    account: once(async () => {
      const account = await reopenAccount();
      // Closing a line late is no reason to call a published run a failure.
      opened.defer(async () => {
        try {
          await account[Symbol.asyncDispose]();
        } catch (error) {
          progress.warning(`closing ${account.address} failed: ${String(error)}`);
        }
      });
      return account;
    }),
    otherAccount: async (text) => {
      const { otherAccountAddress } = await import('./config/other-account.ts');
      const { openAccount } = await import('./adapters/open-account.ts');
      const own = await config();
      const other = await openAccount(
        { ...own, account: otherAccountAddress(text, own) },
        { signal, progress },
      );
      opened.use(other);
      return other;
    },
    state: once(async () => (await import('./adapters/state-folder.ts')).openStateFolder(stateDir)),
    undoing: once(async () => {
      const { openUndoing } = await import('./adapters/undo/open-undoing.ts');
      return opened.use(openUndoing(stateDir, systemClock));
    }),
    source: once(async () => (await import('./adapters/local-source-tree.ts')).openSourceTree()),
    target: once(async () => (await import('./adapters/local-restore-target.ts')).openRestoreTarget()),
    enrolment: once(async () => {
      const { linuxEnrolment } = await import('./adapters/ssh/enrolment.ts');
      const { openAccount } = await import('./adapters/open-account.ts');
      return linuxEnrolment({ openAccount: (made) => openAccount(made, { signal, progress }), signal });
    }),
    keys: once(async () => {
      const { linuxKeyFiles } = await import('./adapters/keys/key-files.ts');
      return linuxKeyFiles({ isInteractive, beforeAsking: () => progress.clear(), signal });
    }),
    machine: once(async () => (await import('./adapters/ssh/machine.ts')).linuxMachine({ signal })),
    async confirm(question) {
      if (!isInteractive) {
        throw new AgentError('NOT_CONFIRMED', `${question} Nobody is there to answer`, {
          hint: '--yes answers for you',
        });
      }
      progress.clear();
      const { createInterface } = await import('node:readline/promises');
      // `terminal: false` leaves Ctrl-C to the terminal, and so to the signal.
      const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
      try {
        const answer = await lines.question(`${question} [y/N] `, { signal });
        if (/^y(es)?$/i.test(answer.trim())) return;
      } finally {
        lines.close();
      }
      throw new AgentError('NOT_CONFIRMED', 'not confirmed: nothing was done');
    },
    writeOut,
  };
}

function interrupt(name: NodeJS.Signals): void {
  if (stop.signal.aborted) {
    hasEnded = true;
    // If leaving hangs on a dead file system, a third signal has its usual effect.
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
    process.exit(EXIT_STATUS.INTERRUPTED);
  }
  stop.abort(
    new AgentError('INTERRUPTED', `interrupted by ${name}`, {
      hint: 'run the command again: it goes on where it stopped',
    }),
  );
}

function report(error: unknown): number {
  const isDebugging = process.env['BAKKER_DEBUG'] === '1';
  const { exitStatus, text } = explainFailure(error, { signal: stop.signal, isDebugging });
  process.stderr.write(`${text}\n`);
  return exitStatus;
}

async function writeText(text: string): Promise<void> {
  await writeOut(Buffer.from(text));
}

async function writeOut(bytes: Uint8Array): Promise<void> {
  const failure = await new Promise<Error | null | undefined>((resolve) => {
    process.stdout.write(bytes, resolve);
  });
  if (!failure) return;
  const code = 'code' in failure ? String(failure.code) : failure.message;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') throw new OutputClosed();
  throw new AgentError('RUN_FAILED', `standard output can't be written: ${code}`, { cause: failure });
}

function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputClosed)) throw error;
}

/** The same promise at every call. */
function once<Value>(open: () => Promise<Value>): () => Promise<Value> {
  let opening: Promise<Value> | undefined;
  return () => (opening ??= open());
}
