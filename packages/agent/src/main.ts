import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { askYes, OutputClosed, runProgram } from '@bakker/command-line';
import type { Performed, RunAsked, Running } from '@bakker/command-line';
import { systemClock } from './adapters/system-clock.ts';
import { openTerminalProgress } from './adapters/terminal-progress.ts';
import type { VisibleProgress } from './adapters/terminal-progress.ts';
import type { CommandContext } from './cli/command.ts';
import { COMMANDS } from './cli/commands.ts';
import type { GlobalValues } from './cli/global-flags.ts';
import { BAKKER } from './cli/program.ts';
import { bandwidthOf } from './limits/bandwidth.ts';
import type { Limits } from './limits/limits.ts';
import { loadConfig } from './config/load-config.ts';

/** Adapters are imported when a command asks for them: `--help` and `completion` load none. */
interface Session {
  readonly globals: GlobalValues;
  readonly running: Running;
  readonly progress: VisibleProgress;
  readonly opened: AsyncDisposableStack;
}

await runProgram<CommandContext, GlobalValues>({ program: BAKKER, commands: async () => COMMANDS, perform });

/** Undefined if the reader of standard output went away before the command was done. */
async function perform(
  { command, globals, args }: RunAsked<CommandContext, GlobalValues>,
  running: Running,
): Promise<Performed | undefined> {
  using progress = openTerminalProgress({
    stream: process.stderr,
    isQuiet: globals.quiet,
    nowMs: () => performance.now(),
  });
  await using opened = new AsyncDisposableStack();
  try {
    return await command.perform(createContext({ globals, running, progress, opened }), args);
  } catch (error) {
    if (error instanceof OutputClosed) return undefined;
    throw error;
  }
}

function createContext({ globals, running, progress, opened }: Session): CommandContext {
  const { signal, isInteractive, writeOut } = running;
  const configFile = resolve(globals.configFile);
  const stateDir = resolve(globals.stateDir);
  const config = once(() => loadConfig(configFile, (file) => readFile(file, 'utf8')));
  let asked: Partial<Limits> = {};
  const limits = async (more: Partial<Limits> = {}): Promise<Limits> => {
    asked = { ...asked, ...more };
    return { ...(await config()).limits, ...asked };
  };
  const bandwidth = once(async () => bandwidthOf(await limits(), () => performance.now()));
  const reopenAccount = async () => {
    const { openAccount } = await import('./adapters/open-account.ts');
    return openAccount(await config(), { signal, progress, bandwidth: await bandwidth() });
  };
  const openUntilEnd = async () => {
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
  };
  const undoing = once(async () => {
    const { openUndoing } = await import('./adapters/undo/open-undoing.ts');
    return opened.use(openUndoing(stateDir, systemClock));
  });
  return {
    configFile,
    stateDir,
    clock: systemClock,
    progress,
    signal,
    isInteractive,
    config,
    reopenAccount,
    limits,
    stepBack: async () => {
      const { stepBack } = await import('./adapters/step-back.ts');
      stepBack(await limits(), (text) => progress.warning(text));
    },
    host: hostname(),
    account: once(openUntilEnd),
    anotherAccount: openUntilEnd,
    otherAccount: async (text) => {
      const { otherAccountAddress } = await import('./config/other-account.ts');
      const { openAccount } = await import('./adapters/open-account.ts');
      const own = await config();
      const other = await openAccount(
        { ...own, account: otherAccountAddress(text, own) },
        { signal, progress, bandwidth: await bandwidth() },
      );
      opened.use(other);
      return other;
    },
    findings: async () => (await import('./adapters/temporary/temporary-findings.ts')).temporaryFindings,
    overflow: async () =>
      new (await import('./adapters/temporary/temporary-overflow.ts')).TemporaryOverflow(),
    readingLock: async () => (await import('./adapters/state/reading-lock.ts')).openReadingLock(stateDir),
    state: once(async () => (await import('./adapters/state-folder.ts')).openStateFolder(stateDir)),
    lastRuns: async () => (await import('./adapters/state/last-runs-file.ts')).readLastRuns(stateDir),
    undoing,
    freezing: {
      mayHaveLeft: async () => (await import('./adapters/undo/journal-file.ts')).hasJournal(stateDir),
      volumes: once(async () => (await import('./adapters/volumes/open-volumes.ts')).openVolumes()),
      open: once(async () => {
        const { openFreezeTools } = await import('./adapters/freeze-tools.ts');
        return openFreezeTools(await undoing(), stateDir);
      }),
    },
    notifying: once(async () => {
      const { linuxNotifier } = await import('./adapters/notify/linux-notifier.ts');
      const { fileMemory } = await import('./adapters/notify/memory.ts');
      return { notifier: linuxNotifier, memory: fileMemory(stateDir) };
    }),
    source: once(async () => (await import('./adapters/local-source-tree.ts')).openSourceTree()),
    target: async (other) => {
      const { openRestoreTarget } = await import('./adapters/local-restore-target.ts');
      const { otherAccountAddress } = await import('./config/other-account.ts');
      const own = await config();
      const accounts = [own.account, ...(other === undefined ? [] : [otherAccountAddress(other, own)])];
      const runsFolders = accounts.flatMap((each) => (each.kind === 'local' ? [each.folder] : []));
      return openRestoreTarget([...runsFolders, stateDir]);
    },
    enrolment: once(async () => {
      const { linuxEnrolment } = await import('./adapters/ssh/enrolment.ts');
      const { openAccount } = await import('./adapters/open-account.ts');
      return linuxEnrolment({
        openAccount: (made) => openAccount(made, { signal, progress, createFolder: true }),
        signal,
      });
    }),
    serviceManager: once(async () => (await import('./adapters/timer/systemd.ts')).systemd()),
    keys: once(async () => {
      const { linuxKeyFiles } = await import('./adapters/keys/key-files.ts');
      return linuxKeyFiles({ isInteractive, holdTerminal: () => progress.hold(), signal });
    }),
    sealing: once(async () => {
      const { openSealingThreads } = await import('./adapters/sealing/sealing-threads.ts');
      return opened.use(openSealingThreads());
    }),
    machine: once(async () => (await import('./adapters/ssh/machine.ts')).linuxMachine({ signal })),
    confirm: async (question) => {
      using _held = progress.hold();
      await askYes(BAKKER, question, { isInteractive, signal });
    },
    writeOut,
  };
}

/** The same promise at every call. */
function once<Value>(open: () => Promise<Value>): () => Promise<Value> {
  let opening: Promise<Value> | undefined;
  return () => (opening ??= open());
}
