import type { BackupOptions, BackupPorts } from './backup-options.ts';
import { FreezingOfRun } from './freezing-of-run.ts';
import { rememberFailure, unremembered } from './remember-run.ts';
import type { BackupReport } from './report.ts';
import { untilUncut } from './retry-run.ts';

/**
 * Makes one run: `lock → recover → parent → freeze → scan → compare → push → publish → release → report`. A cut connection
 * is opened again, and what had arrived is not sent again. A parent that turns out damaged is given up for an older one.
 *
 * @throws AgentError with the documented codes; nothing is published then
 */
export async function runBackup(options: BackupOptions, ports: BackupPorts): Promise<BackupReport> {
  using _lock = await ports.state.lock(options.dryRun ? 'backup --dry-run' : 'backup');
  const startedAtMs = ports.clock.nowMs();
  const freezing = new FreezingOfRun(ports);
  try {
    if (!options.dryRun) await freezing.recover();
    const written = await untilUncut(options, ports, freezing);
    const forgotten = await unremembered(options, ports, { written, startedAtMs });
    const left = await freezing.release();
    return { ...written.report, warnings: [...written.report.warnings, ...forgotten, ...left] };
  } catch (found) {
    const error = ports.state.explain(found);
    await freezing.release();
    if (!options.dryRun) await rememberFailure(ports, error, startedAtMs).catch(() => undefined);
    throw error;
  }
}
