import { chmod, mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatKeyId, formatPublicKey, generatePrivateKey, publicKeyOf } from '@bakker/impl-format/sealed';
import { mountLoopFilesystem } from '../../../../test/harness/loop-fs.ts';
import {
  startSshd,
  type SshAccount,
  type SshdOptions,
  type SshServer,
} from '../../../../test/harness/sshd.ts';
import { linuxKeyFiles } from '../../src/adapters/keys/key-files.ts';
import { openAccount } from '../../src/adapters/open-account.ts';
import { openSourceTree } from '../../src/adapters/local-source-tree.ts';
import { linuxMachine } from '../../src/adapters/ssh/machine.ts';
import { openStateFolder } from '../../src/adapters/state-folder.ts';
import { readLastRuns } from '../../src/adapters/state/last-runs-file.ts';
import { openVolumes } from '../../src/adapters/volumes/open-volumes.ts';
import { doctor } from '../../src/cli/doctor.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { diagnose } from '../../src/doctor/diagnose.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { AgentError } from '../../src/errors.ts';
import type { StorageAccount } from '../../src/ports/storage-account.ts';

const QUIET = {
  stage: () => undefined,
  expect: () => undefined,
  advance: () => undefined,
  message: () => undefined,
  warning: () => undefined,
};
const NOW_MS = Date.UTC(2026, 0, 10);
const HOUR_MS = 3_600_000;

/** A server that is set up, all real but the clock; what a test spoils is what `diagnose` should find. */
class Patient implements AsyncDisposable {
  readonly server: SshServer;
  readonly account: SshAccount;
  readonly folder: string;
  extraConfig = '';
  readonly moreSources: string[] = [];
  stateDir: string;
  #opened: StorageAccount | undefined;

  constructor(parts: { server: SshServer; account: SshAccount; folder: string }) {
    ({ server: this.server, account: this.account, folder: this.folder } = parts);
    this.stateDir = join(this.folder, 'state');
  }

  static async admit(t: Test, options: SshdOptions = {}): Promise<Patient> {
    const folder = t.testdir({ source: { file: 'x' } });
    const server = await startSshd(options);
    const patient = new Patient({ server, account: await server.addAccount(), folder });
    await patient.backedUp({ hoursAgo: 5 });
    return patient;
  }

  async backedUp({ hoursAgo }: { hoursAgo: number }): Promise<void> {
    const finishedAtMs = NOW_MS - hoursAgo * HOUR_MS;
    const state = await openStateFolder(this.stateDir);
    const { parseRunName } = await import('@bakker/impl-format');
    const run = parseRunName('2026_01_09_01');
    if (run === undefined) throw new Error('no run name');
    await state.saveLastRuns({
      lastSuccess: { run, status: 'complete', startedAtMs: finishedAtMs - 1000, finishedAtMs },
      lastAttempt: undefined,
      frozen: undefined,
    });
  }

  async diagnose(): Promise<Finding[]> {
    const { signal } = new AbortController();
    const file = join(this.folder, 'bakker.yaml');
    const text = [
      `account: ${this.account.address}`,
      `identity: ${this.account.identityFile}`,
      `host-key: ${this.server.hostKeyFingerprint}`,
      `sources: [${[join(this.folder, 'source'), ...this.moreSources].join(', ')}]`,
      this.extraConfig,
    ].join('\n');
    await writeFile(file, text, { mode: 0o600 });
    const config = async () => parseConfig(text, file);
    return diagnose({
      configFile: file,
      stateDir: this.stateDir,
      machine: linuxMachine({ signal }),
      clock: { nowMs: () => NOW_MS },
      progress: QUIET,
      signal,
      config,
      account: async () => (this.#opened = await openAccount(await config(), { signal, progress: QUIET })),
      lastRuns: async () => readLastRuns(this.stateDir),
      source: async () => openSourceTree(),
      volumes: async () => openVolumes(),
      keys: async () =>
        linuxKeyFiles({
          isInteractive: false,
          holdTerminal: () => ({ [Symbol.dispose]: () => undefined }),
          signal,
        }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

function about(findings: readonly Finding[], check: string): Finding[] {
  return findings.filter((finding) => finding.check === check);
}

t.test('all is well: no failure, exit 0, and nothing is left on the storage', async (t) => {
  await using patient = await Patient.admit(t);
  const findings = await patient.diagnose();
  t.same(
    findings.filter(({ result }) => result === 'fail'),
    [],
  );
  for (const check of [
    'configuration',
    'state folder',
    'last run',
    'sources',
    'key',
    'host key',
    'storage',
  ]) {
    t.match(about(findings, check), [{ result: 'ok' }], check);
  }
  for (const check of ['storage abilities', 'clock', 'runs', 'channels']) {
    t.match(about(findings, check), [{ result: 'ok' }], check);
  }
  t.equal(about(findings, 'storage space').length, 1);
  t.equal(doctor.exitStatus?.(findings), 0);
});

t.test('each thing that is spoilt is found, the rest is looked at all the same', async (t) => {
  await using patient = await Patient.admit(t);
  await rm(join(patient.folder, 'source'), { recursive: true });
  await chmod(patient.account.identityFile, 0o644);
  await patient.backedUp({ hoursAgo: 100 });
  const findings = await patient.diagnose();
  t.match(about(findings, 'sources'), [{ result: 'fail', exitStatus: 1, detail: /source is not there/ }]);
  t.match(about(findings, 'key'), [{ result: 'warn', hint: /chmod 600/ }]);
  t.match(about(findings, 'last run'), [{ result: 'warn', detail: /100 h ago/ }]);
  t.match(about(findings, 'storage abilities'), [{ result: 'ok' }]);
});

t.test('fewer channels than wanted point at MaxSessions', async (t) => {
  await using patient = await Patient.admit(t, { maxSessions: 2 });
  patient.extraConfig = 'channels: 3';
  const findings = await patient.diagnose();
  t.match(about(findings, 'channels'), [{ result: 'warn', detail: /takes 2 of 3/, hint: /MaxSessions/ }]);
});

t.test('an unreachable storage fails with its own exit status', async (t) => {
  await using patient = await Patient.admit(t);
  await patient.server.stop();
  const findings = await patient.diagnose();
  t.match(about(findings, 'storage'), [{ result: 'fail', exitStatus: 10 }]);
  t.equal(doctor.exitStatus?.(findings), 10);
  t.match(about(findings, 'sources'), [{ result: 'ok' }]);
});

t.test('a refused key, a bad configuration and a bad state folder', async (t) => {
  await using patient = await Patient.admit(t);
  await patient.account.authorise([]);
  t.match(about(await patient.diagnose(), 'storage'), [{ result: 'fail', exitStatus: 10, hint: /restrict/ }]);

  patient.extraConfig = 'sorces: []';
  const misspelt = await patient.diagnose();
  t.match(about(misspelt, 'configuration'), [{ result: 'fail', exitStatus: 2, detail: /sorces/ }]);
  t.match(about(misspelt, 'state folder'), [{ result: 'ok' }], 'the other checks are made');

  patient.extraConfig = '';
  patient.stateDir = join(patient.folder, 'bakker.yaml', 'state');
  t.match(about(await patient.diagnose(), 'state folder'), [{ result: 'fail', exitStatus: 2 }]);
});

t.test('a run without manifest fails, a latest that lags behind warns', async (t) => {
  await using patient = await Patient.admit(t);
  const { folder } = patient.account;
  for (const run of ['2026_01_01_01', '2026_01_02_01', '2026_01_03_01']) {
    await mkdir(join(folder, run));
    if (run !== '2026_01_01_01') await writeFile(join(folder, `${run}.impl`), 'x');
  }
  await symlink('2026_01_02_01', join(folder, 'latest'));
  const findings = await patient.diagnose();
  t.match(about(findings, 'runs'), [{ result: 'fail', detail: /2026_01_01_01/ }]);
  t.match(about(findings, 'latest'), [{ result: 'warn', detail: /newest is 2026_01_03_01/ }]);
  await unlink(join(folder, 'latest'));
  await symlink('2026_01_03_01', join(folder, 'latest'));
  t.match(about(await patient.diagnose(), 'latest'), [{ result: 'ok' }]);
});

t.test('whom runs are sealed to is said; nobody, or a damaged key, is a failure', async (t) => {
  await using patient = await Patient.admit(t);
  patient.extraConfig = 'encrypt: true';
  t.match(about(await patient.diagnose(), 'sealing'), [
    { result: 'fail', detail: /there is no key in .*recipients to seal to/, exitStatus: 12 },
  ]);
  const publicKey = publicKeyOf(generatePrivateKey());
  const line = `${formatPublicKey(publicKey)} mine\n`;
  await writeFile(join(patient.folder, 'recipients'), line);
  t.match(about(await patient.diagnose(), 'sealing'), [
    { result: 'ok', detail: `new runs are sealed to 1 key: ${formatKeyId(publicKey)} (mine)` },
  ]);
  await writeFile(join(patient.folder, 'identity.key'), 'x', { mode: 0o644 });
  t.match(about(await patient.diagnose(), 'sealing'), [{ result: 'warn', hint: /^chmod 600 / }]);
  await writeFile(join(patient.folder, 'recipients'), line.replace(':', ':a'));
  t.match(about(await patient.diagnose(), 'sealing'), [{ result: 'fail', exitStatus: 12 }]);
  patient.extraConfig = '';
  t.same(about(await patient.diagnose(), 'sealing'), [], 'not where runs lie open');
});

t.test('a storage that lacks an ability is unfit', async (t) => {
  await using patient = await Patient.admit(t, {
    sftpSubsystem: false,
    extraLines: ['Subsystem sftp internal-sftp -P hardlink,posix-rename'],
  });
  const findings = await patient.diagnose();
  t.equal(doctor.exitStatus?.(findings), 2);
  t.match(
    findings.filter(({ result }) => result === 'fail'),
    [{ exitStatus: 2 }],
  );
});

t.test('JSON has check, result, detail and hint only', async (t) => {
  const findings: Finding[] = [
    { check: 'a', result: 'ok', detail: 'b' },
    { check: 'c', result: 'fail', detail: 'd', hint: 'e', exitStatus: 13 },
  ];
  t.same(doctor.json(findings), [
    { check: 'a', result: 'ok', detail: 'b' },
    { check: 'c', result: 'fail', detail: 'd', hint: 'e' },
  ]);
  t.equal(doctor.exitStatus?.(findings), 13);
});

t.test('an interrupt ends it with its reason', async (t) => {
  const reason = new AgentError('INTERRUPTED', 'interrupted');
  const signal = AbortSignal.abort(reason);
  const never = () => Promise.reject(new Error('not reached'));
  await t.rejects(
    diagnose({
      configFile: '/x',
      stateDir: '/x',
      machine: linuxMachine({ signal }),
      clock: { nowMs: () => 0 },
      progress: QUIET,
      signal,
      config: never,
      account: never,
      lastRuns: never,
      source: never,
      volumes: never,
      keys: never,
    }),
    reason,
  );
});

t.test('an exclude that is an absolute path, and so leaves nothing out, is warned of', async (t) => {
  await using patient = await Patient.admit(t);
  patient.extraConfig = `exclude: [${join(patient.folder, 'source')}/cache/]`;
  t.match(about(await patient.diagnose(), 'sources'), [
    { result: 'warn', detail: /leaves nothing out: patterns are relative/, hint: /^write "\/cache\/"/ },
  ]);
});

t.test('how each source is frozen is said, and why; what can not be is a failure', async (t) => {
  await using patient = await Patient.admit(t);
  t.match(about(await patient.diagnose(), 'snapshots'), [
    { result: 'ok', detail: /^none: files are read live/ },
  ]);
  await using disk = await mountLoopFilesystem({ type: 'btrfs', sizeBytes: 128 * 2 ** 20 });
  patient.moreSources.push(disk.folder);
  t.match(about(await patient.diagnose(), 'snapshots'), [
    { result: 'ok', detail: /"snapshot: auto" would use .*btrfs at \/var\/lib/ },
  ]);
  patient.extraConfig = 'services: [{ name: app, redis: }]';
  const found = about(await patient.diagnose(), 'snapshots');
  const frozen = found.find(({ detail }) => detail.startsWith('btrfs'));
  t.match(frozen, {
    result: 'ok',
    detail: `btrfs at ${disk.folder} for ${disk.folder}: the btrfs subvolume /`,
  });
  patient.extraConfig = 'snapshot: none\nservices: [{ name: pg, postgresql: }]';
  t.match(about(await patient.diagnose(), 'snapshots').at(-1), {
    result: 'warn',
    detail: /if files of pg are there, they are read while they change/,
  });
  patient.extraConfig = 'snapshot: zfs';
  t.match(about(await patient.diagnose(), 'snapshots').at(-1), { result: 'fail', exitStatus: 14 });
});
