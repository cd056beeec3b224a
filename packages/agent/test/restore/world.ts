import { mkdtempSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunName } from '@bakker/impl-format';
import { parseRunName } from '@bakker/impl-format';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { TemporaryOverflow } from '../../src/adapters/temporary/temporary-overflow.ts';
import { openRestoreTarget } from '../../src/adapters/local-restore-target.ts';
import { openAccount } from '../../src/adapters/open-account.ts';
import { openStateFolder } from '../../src/adapters/state-folder.ts';
import { runBackup } from '../../src/backup/run-backup.ts';
import { chooseRun } from '../../src/browse/choose-run.ts';
import { NO_LIMITS } from '../../src/limits/limits.ts';
import { NOBODY_TOLD } from '../../src/config/notify-settings.ts';
import type { Config } from '../../src/config/config.ts';
import type { BackupReport } from '../../src/backup/report.ts';
import type { SourceTree } from '../../src/ports/source-tree.ts';
import type { Progress } from '../../src/ports/progress.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';
import { parsePathPattern } from '../../src/restore/path-pattern.ts';
import type { RestoreJob } from '../../src/restore/restore-job.ts';
import { restoreRun, type RestoreOutcome } from '../../src/restore/restore-run.ts';

export const SILENT: Progress = {
  stage: () => undefined,
  expect: () => undefined,
  advance: () => undefined,
  message: () => undefined,
  warning: () => undefined,
};

export type Asked = Partial<Omit<RestoreJob, 'patterns' | 'run'>> & {
  readonly from?: string;
  readonly paths?: readonly string[];
};

/** A source, an account in a folder and a place to restore to, all real; the backup is the product's own. */
export class World implements AsyncDisposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'bakker-restore-test-')));
  readonly source = join(this.folder, 'source');
  readonly storage = join(this.folder, 'storage');
  readonly back = join(this.folder, 'back');
  nowMs = Date.UTC(2024, 3, 18, 12);
  blockChangeBytes: number | undefined;
  #signal = new AbortController().signal;

  /** Where `source` comes to below `back`. */
  get restored(): string {
    return this.back + this.source;
  }

  /** A run of the source, a day after the one before. */
  async backUp(sources: readonly string[] = [this.source], source?: SourceTree): Promise<RunName> {
    const { run } = await this.report(sources, source);
    return run;
  }

  /** The same, with what the backup says of it. */
  async report(
    sources: readonly string[] = [this.source],
    source: SourceTree = openSourceTree(),
    line: { openAccount?: () => Promise<StorageAccount>; reconnectAfterMs?: readonly number[] } = {},
  ): Promise<BackupReport & { readonly run: RunName }> {
    const { openAccount: open = () => this.account(true), ...waits } = line;
    const report = await runBackup(
      {
        config: this.config(sources),
        dryRun: false,
        force: true,
        checksum: false,
        allowEmpty: true,
        allowClear: false,
        memoryBytes: NO_LIMITS.memoryBytes,
        version: '0.0.0',
        host: 'test',
        ...waits,
      },
      {
        openAccount: open,
        source,
        state: await openStateFolder(join(this.folder, 'state')),
        clock: { nowMs: () => this.nowMs },
        progress: SILENT,
        signal: this.#signal,
      },
    );
    this.nowMs += 86_400_000;
    const run = parseRunName(report.run ?? '');
    if (run === undefined) throw new Error(`no run was made: ${JSON.stringify(report)}`);
    return { ...report, run };
  }

  account(createFolder = false): Promise<StorageAccount> {
    return openAccount(this.config([]), { signal: this.#signal, progress: SILENT, createFolder });
  }

  async restore(asked: Asked = {}, account?: StorageAccount): Promise<RestoreOutcome> {
    await using opened = await this.account();
    const { from = 'latest', paths = [], ...job } = asked;
    return await restoreRun(
      {
        run: await chooseRun(opened, from),
        to: this.back,
        overwrite: 'if-changed',
        deletes: false,
        isDryRun: false,
        verifies: false,
        numericOwner: false,
        memoryBytes: NO_LIMITS.memoryBytes,
        ...job,
        patterns: paths.map(parsePathPattern),
      },
      {
        account: account ?? opened,
        target: openRestoreTarget([this.storage]),
        progress: SILENT,
        overflow: async () => new TemporaryOverflow(),
        signal: this.#signal,
      },
    );
  }

  config(sources: readonly string[]): Config {
    return {
      file: '/nowhere',
      account: { kind: 'local', folder: this.storage },
      ssh: {
        transport: 'ssh2',
        identityFile: undefined,
        hostKey: undefined,
        sshOptions: [],
        channels: 'auto',
      },
      sources: sources.map((path) => ({ path, excludes: [], oneFilesystem: true, honourMarkers: true })),
      excludes: [],
      minIntervalMs: 0,
      retention: { days: 14, instances: 7, months: 6, years: 4 },
      freezeGoneShare: 1,
      freezeChangedShare: 1,
      storageConfig: false,
      services: [],
      windowMs: 60_000,
      snapshot: { provider: 'auto', lvmSize: { share: 0.1 } },
      notify: NOBODY_TOLD,
      limits: NO_LIMITS,
      blockChangeBytes: this.blockChangeBytes,
      encrypt: undefined,
      stated: ['account', 'sources'],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
