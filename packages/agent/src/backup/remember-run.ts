import { whatFailed } from '@bakker/command-line';
import { parseRunName } from '@bakker/impl-format';
import { AgentError } from '../errors.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import { notKept } from './after-publish.ts';
import type { BackupOptions, BackupPorts } from './backup-options.ts';
import type { WrittenRun } from './write-run.ts';

/** Notes a published run. That it can't be noted is a warning: the run is there. @returns the warnings */
export async function unremembered(
  { dryRun }: BackupOptions,
  ports: BackupPorts,
  { written, startedAtMs }: { written: WrittenRun; startedAtMs: number },
): Promise<readonly string[]> {
  if (dryRun || written.report.run === null) return [];
  try {
    await remember(ports, written, startedAtMs);
    return [];
  } catch (error) {
    const text = notKept(written.report.run, ports.state.explain(error));
    ports.progress.warning(text);
    return [text];
  }
}

async function remember(ports: BackupPorts, written: WrittenRun, startedAtMs: number): Promise<void> {
  const { report, finishedAtMs, frozen, isRetiredByStorage, address } = written;
  const run = parseRunName(report.run ?? '');
  if (!run || report.status === 'skipped')
    throw new Error(`a report of an unknown run ${String(report.run)}`);
  const before = await ports.state.lastRuns();
  const { windowSeconds } = report;
  const held = { files: report.files.total, bytes: report.bytes.source };
  const window = windowSeconds === undefined ? {} : { windowMs: windowSeconds * 1000 };
  const last: LastRuns = {
    lastSuccess: { run, status: report.status, startedAtMs, finishedAtMs, held, ...window },
    lastAttempt: {
      startedAtMs,
      finishedAtMs,
      exitStatus: report.status === 'partial' ? 3 : 0,
      message: report.status,
    },
    address,
    // a frozen retention stays so until somebody thaws it
    frozen: isRetiredByStorage ? frozen : (before.frozen ?? frozen),
  };
  await ports.state.saveLastRuns(last);
}

/** Notes a run that failed, and why. */
export async function rememberFailure(
  ports: BackupPorts,
  thrown: unknown,
  startedAtMs: number,
): Promise<void> {
  const error = whatFailed(thrown, ports.signal);
  const before = await ports.state.lastRuns();
  const message = error instanceof Error ? error.message : String(error);
  const exitStatus = error instanceof AgentError ? error.exitStatus : 1;
  const lastAttempt = { startedAtMs, finishedAtMs: ports.clock.nowMs(), exitStatus, message };
  await ports.state.saveLastRuns({ ...before, lastAttempt });
}
