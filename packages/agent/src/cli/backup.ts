import {
  explainFailure,
  formatBytes,
  formatCount,
  formatCounted,
  formatDuration,
} from '@bakker/command-line';
import type { BackupReport } from '../backup/report.ts';
import type { Config } from '../config/config.ts';
import type { EncryptSettings } from '../config/read-encrypt.ts';
import { tellsAnybody } from '../config/notify-settings.ts';
import { EXIT_STATUS } from '../errors.ts';
import { formatWindow } from '../quiesce/format-window.ts';
import type { RunWatch } from '../notify/telling.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { Encryption } from '../sealed/encryption.ts';
import type { Command, CommandContext } from './command.ts';
import { LIMIT_FLAGS, limitsOf } from './limit-flags.ts';
import { TIMINGS_FLAG, timingsIf } from './timings-flag.ts';
import { timingLines } from '../timings/timings.ts';
import type { Timings } from '../timings/timings.ts';
import type { LimitArgs } from './limit-flags.ts';
import { BAKKER } from './program.ts';
import { VERSION } from './version.ts';

interface BackupArgs extends LimitArgs {
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly checksum: boolean;
  readonly allowEmpty: boolean;
  readonly allowClear: boolean;
  readonly timings: boolean;
  readonly identityKey?: string;
}

interface Backup {
  /** Where the time went, if that was asked for. */
  readonly timings?: Timings | undefined;
  readonly report: BackupReport;
  readonly isDryRun: boolean;
}

export const backup: Command<BackupArgs, Backup> = {
  usage: 'backup',
  summary: 'Back this machine up',
  examples: [
    ['bakker backup', 'make a run, unless the last one is younger than "interval"'],
    ['bakker backup --dry-run', 'say what a run would send'],
    ['bakker backup --force --checksum', 'make a run now, and read every file'],
  ],
  positionals: {},
  flags: {
    'dry-run': { type: 'boolean', describe: 'compare and count, send nothing' },
    force: { type: 'boolean', describe: 'make a run even if the last one is younger than "interval"' },
    checksum: { type: 'boolean', describe: 'read every file instead of trusting size, times and inode' },
    'allow-empty': {
      type: 'boolean',
      describe: 'accept sources, or a storage, that are empty where they were not',
    },
    'allow-clear': { type: 'boolean', describe: 'make a run that is not sealed although the last one is' },
    ...LIMIT_FLAGS,
    ...TIMINGS_FLAG,
    'identity-key': {
      type: 'string',
      requiresArg: true,
      describe:
        'private key that opens the last sealed run, if this server has lost its own copy of what is in it',
    },
  },
  async run(context, args) {
    const { runBackup } = await import('../backup/run-backup.ts');
    const { dryRun, force, checksum, allowEmpty, allowClear } = args;
    const openAccount = (): Promise<StorageAccount> => context.reopenAccount();
    const { mergeStorageConfig, parseStorageConfig } = await import('../config/storage-config.ts');
    const withStorageConfig = (own: Config, text: string | undefined): Config =>
      mergeStorageConfig(own, text === undefined || !own.storageConfig ? undefined : parseStorageConfig(text))
        .config;
    const { host, clock, progress, signal } = context;
    const config = await context.config();
    const { memoryBytes } = await context.limits(limitsOf(args));
    const { encrypt } = config;
    const encryption = encrypt && (() => encryptionOf(context, encrypt, args.identityKey));
    const makeRun = async (watch?: RunWatch): Promise<BackupReport> =>
      runBackup(
        {
          config,
          encryption,
          dryRun,
          force,
          checksum,
          allowEmpty,
          allowClear,
          memoryBytes,
          version: VERSION,
          host,
          withStorageConfig,
        },
        {
          openAccount,
          source: await context.source(),
          freezing: context.freezing,
          state: await context.state(),
          clock,
          progress,
          signal,
          stepBack: () => context.stepBack(),
          ...watch,
        },
      );
    if (dryRun || !tellsAnybody(config.notify)) {
      const report = await makeRun();
      return { report, isDryRun: dryRun, timings: timingsIf(args.timings) };
    }
    const { tellOf } = await import('../notify/telling.ts');
    const { notifyPorts } = await import('./notify-ports.ts');
    const ports = {
      ...(await notifyPorts(context)),
      onWarning: (text: string) => progress.warning(text),
      clock,
    };
    const words = {
      report: (made: BackupReport) => ({ exitStatus: exitStatusOf(made), message: summarise(made, false) }),
      failure: (error: unknown) =>
        explainFailure(error, { program: BAKKER.name, signal, isDebugging: false }),
    };
    const report = await tellOf(makeRun, { words, ports });
    return { report, isDryRun: dryRun, timings: timingsIf(args.timings) };
  },
  json: ({ report, timings }) => (timings === undefined ? report : { ...report, timings }),
  render({ report, isDryRun, timings }, screen) {
    screen.line(summarise(report, isDryRun));
    if (timings) for (const line of timingLines(timings)) screen.line(line);
  },
  exitStatus: ({ report }) => exitStatusOf(report),
};

async function encryptionOf(
  context: CommandContext,
  { hidesNames }: EncryptSettings,
  identityFile: string | undefined,
): Promise<Encryption> {
  const { prepareEncryption } = await import('../sealed/prepare-encryption.ts');
  const { keptKeyFile, recipientsFile } = await import('../keys/key-places.ts');
  const { configFile, progress } = context;
  return prepareEncryption(
    {
      hidesNames,
      identityFile,
      recipientsFile: recipientsFile(configFile),
      keptFile: keptKeyFile(configFile),
    },
    {
      keys: await context.keys(),
      threads: await context.sealing(),
      warn: (text) => progress.warning(text),
    },
  );
}

/** The closing words: one line that says what is safe now. */
export function summarise(report: BackupReport, isDryRun: boolean): string {
  const { files, bytes, status } = report;
  if (status === 'skipped')
    return 'Nothing to do: the last run is younger than "interval"; --force makes one now.';
  const changes: readonly (readonly [number, string])[] = [
    [files.new, 'new'],
    [files.changed, 'changed'],
    [files.metadata, 'with new attributes'],
    [files.moved, 'moved'],
    [files.unchanged, 'unchanged'],
    [files.gone, 'gone'],
  ];
  const told = changes.filter(([count]) => count > 0).map(([count, word]) => `${formatCount(count)} ${word}`);
  const whole = `${formatCounted(files.total, 'file')} (${formatBytes(bytes.source)})`;
  const list = told.length === 0 ? whole : `${whole}; ${told.join(', ')}`;
  const time = formatDuration(report.seconds * 1000);
  if (isDryRun) return `A run would hold ${list}. Looking took ${time}; nothing was sent.`;
  const { windowSeconds } = report;
  const stood =
    windowSeconds === undefined ? '' : ` Services stood still for ${formatWindow(windowSeconds * 1000)}.`;
  const sent = `Sent ${formatBytes(bytes.sent)} in ${time}.${stood}`;
  if (status === 'complete') return `Run ${report.run ?? ''} is complete: ${list}. ${sent}`;
  return `Run ${report.run ?? ''} is published without ${formatCounted(files.unreadable, 'file')} that could not be read: ${list}. ${sent}`;
}

function exitStatusOf({ status }: BackupReport): number {
  return status === 'partial' ? EXIT_STATUS.SOME_UNREADABLE : 0;
}
