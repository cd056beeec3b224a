import { resolve } from 'node:path';
import { openPorts } from './adapters/open-ports.ts';
import { listCommand } from './cli/command.ts';
import type { CommandContext, ListedCommand } from './cli/command.ts';
import { explainFailure } from './cli/explain-failure.ts';
import { readCommandLine } from './cli/frame.ts';
import type { GlobalValues } from './cli/global-flags.ts';
import { VERSION } from './cli/version.ts';
import { OutputClosed, writeResult } from './cli/write-result.ts';
import { EXIT_STATUS, StorageError } from './errors.ts';

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
  if (!hasEnded)
    process.stderr.write('bakker-storage: unexpected end: it waited for something that never comes\n');
});

const exitStatus = await main(process.argv.slice(2)).catch(report);
hasEnded = true;
process.exit(exitStatus);

async function main(words: readonly string[]): Promise<number> {
  const commands = await loadCommands(words);
  const asked = await readCommandLine(words, commands);
  switch (asked.kind) {
    case 'version':
      await writeText(`${VERSION}\n`).catch(ignoreClosed);
      return 0;
    case 'help': {
      const { renderCommandHelp, renderOverview } = await import('./cli/help.ts');
      const text =
        asked.command === undefined ? renderOverview(commands) : await renderCommandHelp(asked.command);
      await writeText(text).catch(ignoreClosed);
      return 0;
    }
    case 'run': {
      const performed = await asked.command.perform(createContext(asked.globals), asked.args);
      await writeResult(performed, { json: asked.globals.json, write: writeText }).catch(ignoreClosed);
      return performed.exitStatus;
    }
  }
}

/** Each session of each server starts `shell`: it does not wait for the files of all the others. */
async function loadCommands(words: readonly string[]): Promise<readonly ListedCommand[]> {
  if (words[0] === 'shell') return [listCommand((await import('./cli/shell.ts')).shell)];
  return (await import('./cli/commands.ts')).COMMANDS;
}

function createContext({ rootDir }: GlobalValues): CommandContext {
  const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
  const { signal } = stop;
  return {
    rootDir: resolve(rootDir),
    ports: openPorts,
    signal,
    isInteractive,
    nowMs: () => Date.now(),
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
    async confirm(question) {
      if (!isInteractive) {
        throw new StorageError('NOT_CONFIRMED', `${question} Nobody is there to answer`, {
          hint: '--yes answers for you',
        });
      }
      const { createInterface } = await import('node:readline/promises');
      // `terminal: false` leaves Ctrl-C to the terminal, and so to the signal.
      const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
      try {
        const answer = await lines.question(`${question} [y/N] `, { signal });
        if (/^y(es)?$/i.test(answer.trim())) return;
      } finally {
        lines.close();
      }
      throw new StorageError('NOT_CONFIRMED', 'not confirmed: nothing was done');
    },
  };
}

function interrupt(name: NodeJS.Signals): void {
  if (stop.signal.aborted) {
    hasEnded = true;
    // If leaving hangs on a dead file system, a third signal has its usual effect.
    process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
    process.exit(EXIT_STATUS.INTERRUPTED);
  }
  stop.abort(new StorageError('INTERRUPTED', `interrupted by ${name}`));
}

function report(error: unknown): number {
  const isDebugging = process.env['BAKKER_DEBUG'] === '1';
  const { exitStatus, text } = explainFailure(error, { signal: stop.signal, isDebugging });
  process.stderr.write(`${text}\n`);
  return exitStatus;
}

async function writeText(text: string): Promise<void> {
  const failure = await new Promise<Error | null | undefined>((done) => {
    process.stdout.write(text, done);
  });
  if (!failure) return;
  const code = 'code' in failure ? String(failure.code) : failure.message;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') throw new OutputClosed();
  throw new StorageError('FAILED', `standard output can't be written: ${code}`, { cause: failure });
}

function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputClosed)) throw error;
}
