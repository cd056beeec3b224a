/** Run by the test of unprivileged restores, as another user: restores the newest run, prints the report as JSON. */
import { TemporaryOverflow } from '../../src/adapters/temporary/temporary-overflow.ts';
import { openRestoreTarget } from '../../src/adapters/local-restore-target.ts';
import { openAccount } from '../../src/adapters/open-account.ts';
import { chooseRun } from '../../src/browse/choose-run.ts';
import { restoreRun } from '../../src/restore/restore-run.ts';

const SILENT = {
  stage: () => undefined,
  expect: () => undefined,
  advance: () => undefined,
  message: () => undefined,
  warning: () => undefined,
};
const [folder = '', to = ''] = process.argv.slice(2);
const signal = new AbortController().signal;
const ssh = {
  transport: 'ssh2',
  identityFile: undefined,
  hostKey: undefined,
  sshOptions: [],
  channels: 'auto',
} as const;
await using account = await openAccount(
  { account: { kind: 'local', folder }, ssh },
  { signal, progress: SILENT },
);
const { report } = await restoreRun(
  {
    run: await chooseRun(account, 'latest'),
    to,
    patterns: [],
    overwrite: 'if-changed',
    deletes: false,
    isDryRun: false,
    verifies: true,
    numericOwner: false,
    memoryBytes: 64 * 1024 * 1024,
  },
  {
    account,
    target: openRestoreTarget(),
    progress: SILENT,
    signal,
    overflow: async () => new TemporaryOverflow(),
  },
);
const { files, skipped, failed, damaged } = report;
process.stdout.write(
  JSON.stringify({
    files,
    skipped,
    failed: failed.count,
    damaged: damaged.count,
    warnings: report.warnings(),
  }),
);
