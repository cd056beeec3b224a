import type { BackupReport } from '../backup/report.ts';
import { EXIT_STATUS } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Space, StorageAccount } from '../ports/storage-account.ts';
import { notifyAfter } from './notify-after.ts';
import type { NotifyPorts } from './notify-after.ts';
import type { Outcome } from './outcome.ts';

const START_LIMIT_MS = 60_000;

export interface TellingPorts extends NotifyPorts {
  readonly clock: Clock;
  readonly onWarning: (text: string) => void;
}

/** How the outcome is put in words. */
export interface TellingWords {
  report(report: BackupReport): { readonly exitStatus: number; readonly message: string };
  failure(error: unknown): { readonly exitStatus: number; readonly text: string };
}

/** What a run calls on its way. */
export interface RunWatch {
  /** A run is due, and begins. */
  readonly onBegin: () => void;
  /** The run is published, the account still open. */
  readonly onPublished: (account: StorageAccount) => Promise<void>;
}

/**
 * Makes a run and tells of it, whatever becomes of it. What can't be told is a warning.
 *
 * @returns what `makeRun` returns, once everybody was told
 * @throws what `makeRun` throws, once everybody was told
 */
export async function tellOf(
  makeRun: (watch: RunWatch) => Promise<BackupReport>,
  { words, ports }: { words: TellingWords; ports: TellingPorts },
): Promise<BackupReport> {
  const { clock } = ports;
  const startedAtMs = clock.nowMs();
  let space: Space | undefined;
  let starting: Promise<void> | undefined;
  const watch: RunWatch = {
    onBegin: () => void (starting ??= tellStart(ports)),
    onPublished: async (account) => {
      if (ports.settings.prometheus !== undefined || ports.settings.hooks.length > 0)
        space = await account.space().catch(() => undefined);
    },
  };
  const tell = async (
    outcome: Pick<Outcome, 'kind' | 'exitStatus' | 'message' | 'report'>,
  ): Promise<void> => {
    // a start that arrived after its end would look like a run that hangs
    await starting;
    const times = { startedAtMs, finishedAtMs: clock.nowMs() };
    const deliveries = await notifyAfter({ ...outcome, ...times, space }, ports);
    for (const { way, failure } of deliveries)
      if (failure !== undefined) ports.onWarning(`${way}: nobody was told: ${failure}`);
  };
  let report: BackupReport;
  try {
    report = await makeRun(watch);
  } catch (error) {
    const { exitStatus, text } = words.failure(error);
    const kind = exitStatus === EXIT_STATUS.INTERRUPTED ? 'interrupted' : 'failure';
    await tell({ kind, exitStatus, message: text }).catch(noted(ports));
    throw error;
  }
  const kind = report.status === 'complete' ? 'success' : report.status;
  await tell({ kind, ...words.report(report), report }).catch(noted(ports));
  return report;
}

/** Goes on beside the run. */
async function tellStart({ settings, notifier, subject, onWarning }: TellingPorts): Promise<void> {
  if (settings.ping === undefined) return;
  const body = `${subject.host}: backup to ${subject.account} began`;
  try {
    await notifier.ping(
      settings.ping,
      { event: 'start', body },
      { signal: AbortSignal.timeout(START_LIMIT_MS) },
    );
  } catch (error) {
    onWarning(`ping: the start was not told: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A fault in telling is none of the run. */
function noted({ onWarning }: TellingPorts): (error: unknown) => void {
  return (error) => onWarning(`nobody was told: ${error instanceof Error ? error.message : String(error)}`);
}
