import type { ListedCommandOf, Performed } from './command.ts';
import { explainFailure } from './explain-failure.ts';
import type { Globals, Program } from './program.ts';
import { readCommandLine } from './read-command-line.ts';
import type { RunAsked } from './read-command-line.ts';
import { OutputClosed, writeOutput } from './standard-output.ts';
import { typedHere } from './typed-here.ts';
import type { TypedHere } from './typed-here.ts';
import { writeResult } from './write-result.ts';

/** How a program starts. */
export interface Start<Context, Values extends Globals> {
  readonly program: Program<Values>;
  /** Loads the commands that these words may mean. */
  readonly commands: (words: readonly string[]) => Promise<readonly ListedCommandOf<Context>[]>;
  /** @returns undefined if the reader of standard output went away before the command was done */
  readonly perform: (asked: RunAsked<Context, Values>, running: Running) => Promise<Performed | undefined>;
}

/** What a command runs under. */
export interface Running {
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether a person can be asked. */
  readonly isInteractive: boolean;
  /** Standard output for content itself, with back-pressure. */
  readonly writeOut: (bytes: Uint8Array) => Promise<void>;
}

/**
 * Does what the process was called for and ends it. The first SIGINT or SIGTERM stops in order, a second ends at once.
 * `BAKKER_DEBUG=1` shows where failures come from.
 */
export async function runProgram<Context, Values extends Globals>(
  start: Start<Context, Values>,
): Promise<never> {
  const { program } = start;
  const stop = new AbortController();
  let hasEnded = false;
  // until the flags are read, no place is known
  let asTypedHere: TypedHere = (text) => text;
  const end = (status: number): never => {
    hasEnded = true;
    process.exit(status);
  };
  const report = (error: unknown): number => {
    const isDebugging = process.env['BAKKER_DEBUG'] === '1';
    const { signal } = stop;
    const { exitStatus, text } = explainFailure(error, {
      program: program.name,
      signal,
      isDebugging,
      typedHere: (text) => asTypedHere(text),
    });
    process.stderr.write(`${text}\n`);
    return exitStatus;
  };
  const interrupt = (name: NodeJS.Signals): void => {
    const { afterInterruption: hint } = program;
    const reason = program.failure(
      'INTERRUPTED',
      `interrupted by ${name}`,
      hint === undefined ? {} : { hint },
    );
    if (stop.signal.aborted) {
      // If leaving hangs on a dead file system, a third signal has its usual effect.
      process.removeAllListeners('SIGINT').removeAllListeners('SIGTERM');
      end(reason.exitStatus);
    }
    stop.abort(reason);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.on('uncaughtException', (error) => end(report(error)));
  // Failed writes are told to whoever wrote; without a listener the event would end the process.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);

  // Node ends a process that waits for nothing with status 13, which means something else here.
  process.exitCode = 1;
  process.on('exit', () => {
    if (hasEnded) return;
    process.stderr.write(`${program.name}: unexpected end: it waited for something that never comes\n`);
  });
  const under: Under = {
    signal: stop.signal,
    tellPlaces: (places) => {
      asTypedHere = places;
    },
  };
  return end(await answer(process.argv.slice(2), start, under).catch(report));
}

interface Under {
  readonly signal: AbortSignal;
  readonly tellPlaces: (places: TypedHere) => void;
}

/** @returns the exit status */
async function answer<Context, Values extends Globals>(
  words: readonly string[],
  { program, commands: load, perform }: Start<Context, Values>,
  { signal, tellPlaces }: Under,
): Promise<number> {
  const write = (content: Uint8Array | string): Promise<void> => writeOutput(program, content);
  const commands = await load(words);
  const asked = await readCommandLine(words, { program, commands });
  switch (asked.kind) {
    case 'version':
      await write(`${program.version}\n`).catch(ignoreClosed);
      return 0;
    case 'help': {
      const { renderCommandHelp, renderOverview } = await import('./help.ts');
      const { command } = asked;
      const text =
        command === undefined
          ? renderOverview(program, commands)
          : await renderCommandHelp({ program, command }, process.stdout.columns);
      await write(text).catch(ignoreClosed);
      return 0;
    }
    case 'run': {
      const places = typedHere(program, commands, asked.globals);
      tellPlaces(places);
      const isInteractive = process.stdin.isTTY && process.stderr.isTTY;
      const performed = await perform(asked, { signal, isInteractive, writeOut: write });
      if (performed === undefined) return 0;
      await writeResult(performed, { json: asked.globals.json, write, typedHere: places }).catch(
        ignoreClosed,
      );
      return performed.exitStatus;
    }
  }
}

function ignoreClosed(error: unknown): void {
  if (!(error instanceof OutputClosed)) throw error;
}
