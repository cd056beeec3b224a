import type { Finding } from '../doctor/finding.ts';
import type { Command } from './command.ts';

const WORDS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

interface DoctorArgs {
  readonly online: boolean;
}

export const doctor: Command<DoctorArgs, readonly Finding[]> = {
  usage: 'doctor',
  summary: 'Look at everything that a backup depends on, and say what to do',
  examples: [
    ['bakker doctor', 'one line for each check'],
    ['bakker doctor --json', 'the same for a script; the exit status is that of the first failure'],
  ],
  positionals: {},
  flags: {
    online: { type: 'boolean', describe: 'also ask the servers that notify: names whether they answer' },
  },
  run: async (context, { online }) => {
    const { diagnose } = await import('../doctor/diagnose.ts');
    const machine = await context.machine();
    return diagnose({
      configFile: context.configFile,
      stateDir: context.stateDir,
      machine,
      clock: context.clock,
      progress: context.progress,
      signal: context.signal,
      config: () => context.config(),
      account: () => context.account(),
      lastRuns: () => context.lastRuns(),
      source: () => context.source(),
      volumes: () => context.freezing.volumes(),
      keys: () => context.keys(),
      pending: async () => {
        // opening the journal would make one
        if ((await machine.inspect(`${context.stateDir}/undo.sqlite`)) === undefined) return undefined;
        return (await context.undoing()).journal.pending();
      },
      isOnline: online,
    });
  },
  json: (findings) => findings.map(({ exitStatus: _exitStatus, ...finding }) => finding),
  render: (findings, screen) => {
    for (const { check, result, detail, hint } of findings) {
      screen.line(`${WORDS[result]}  ${check}: ${detail}`);
      if (hint !== undefined) screen.line(screen.typedHere(`      ${hint}`));
    }
  },
  exitStatus: (findings) => findings.find(({ result }) => result === 'fail')?.exitStatus ?? 0,
};
