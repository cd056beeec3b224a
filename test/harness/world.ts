import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { installBakker, type Bakker, type RunOptions } from './bakker.ts';
import type { BackupReport, ListedRun, VerifyReport } from './json-contracts.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { addShellAccount, type ShellKey } from './shell-account.ts';
import { startSshd, type SshAccount, type SshServer } from './sshd.ts';

export type StorageKind = 'plain' | 'chroot' | 'openssh' | 'local' | 'shell';
export const STORAGE_KINDS: readonly StorageKind[] = ['plain', 'chroot', 'openssh', 'local', 'shell'];

export interface WorldOptions {
  /** Default `plain`. */
  readonly kind?: StorageKind;
  /** Configuration keys beside those of the account; `sources` replaces the world's own. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Where the account's folder is made: a small file system, say. */
  readonly storageOn?: string;
  /** Puts a proxy between bakker and the server, as slow as asked. */
  readonly proxied?: boolean;
  readonly bytesPerSecond?: number;
  /** Half of the round trip. */
  readonly delayMs?: number;
  readonly mostConnections?: number;
  readonly isSilentBeyond?: boolean;
  /** What the key of a `shell` account may do. */
  readonly shellKey?: ShellKey;
}

/** A server with something to back up, an account, and bakker configured for them, with no least interval between runs. */
export interface World extends AsyncDisposable {
  readonly bakker: Bakker;
  /** A folder to fill; the only source unless the options say otherwise. */
  readonly source: string;
  /** The account's folder on this disk. */
  readonly storage: string;
  readonly proxy: Proxy | undefined;
  readonly server: SshServer | undefined;
  readonly account: SshAccount | undefined;
  /** Replaces some keys of the configuration. */
  configure(changes: Readonly<Record<string, unknown>>): Promise<void>;
  /** Backs up and expects `status`, 0 if not given. */
  backup(args?: readonly string[], status?: number): Promise<BackupReport>;
  list(): Promise<ListedRun[]>;
  verify(args?: readonly string[], status?: number): Promise<VerifyReport>;
  /** Restores everything from `from` into a new folder. @returns where the source lies in it */
  restore(from?: string, args?: readonly string[]): Promise<string>;
  /** Runs a command and expects `status`, 0 if not given. */
  expect(args: readonly string[], status?: number, options?: RunOptions): ReturnType<Bakker['run']>;
}

/** Makes one. Needs root for a storage with its own Unix user. */
export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  await using made = new AsyncDisposableStack();
  const kind = options.kind ?? 'plain';
  const bakker = made.use(await installBakker());
  const source = `${bakker.folder}/source`;
  await mkdir(source);

  let storage = `${options.storageOn ?? bakker.folder}/storage`;
  let account: SshAccount | undefined;
  let server: SshServer | undefined;
  let proxy: Proxy | undefined;
  const config: Record<string, unknown> = { sources: [source], interval: 0 };
  if (kind === 'local') {
    await mkdir(storage);
    config['account'] = storage;
  } else {
    server = made.use(
      await startSshd(options.storageOn === undefined ? {} : { accountsFolder: options.storageOn }),
    );
    account =
      kind === 'shell'
        ? await addShellAccount(server, options.shellKey)
        : await server.addAccount({ chroot: kind === 'chroot' });
    storage = account.folder;
    if (options.proxied === true) {
      proxy = made.use(await startProxy({ ...options, targetPort: server.port }));
    }
    config['account'] = `ssh://${account.user}@127.0.0.1:${proxy?.port ?? server.port}${account.path}`;
    config['identity'] = account.identityFile;
    config['host-key'] = server.hostKeyFingerprint;
    if (kind === 'openssh') config['transport'] = 'openssh';
  }
  Object.assign(config, options.config);
  // JSON is YAML.
  const write = (): Promise<void> => writeFile(bakker.configFile, JSON.stringify(config, undefined, 2));
  await write();
  await chmod(bakker.configFile, 0o644);

  let restores = 0;
  const expect: World['expect'] = async (args, status = 0, runOptions = {}) => {
    const result = await bakker.run(args, runOptions);
    if (result.status === status) return result;
    throw new Error(
      `bakker ${args.join(' ')}: status ${result.status}, not ${status}\n${result.stdout.slice(0, 4000)}\n${result.stderr.slice(-4000)}`,
    );
  };
  const kept = made.move();
  return {
    bakker,
    source,
    storage,
    proxy,
    server,
    account,
    expect,
    async configure(changes) {
      Object.assign(config, changes);
      await write();
    },
    backup: async (args = [], status = 0) =>
      (await expect(['backup', '--json', ...args], status)).json<BackupReport>(),
    list: async () => (await expect(['list', '--json'])).json<ListedRun[]>(),
    verify: async (args = [], status = 0) =>
      (await expect(['verify', '--json', ...args], status)).json<VerifyReport>(),
    async restore(from = 'latest', args = []) {
      // A short name: the longest paths still fit below it.
      restores += 1;
      const target = `${bakker.folder}/r${restores}`;
      await expect(['restore', '--from', from, '--to', target, ...args]);
      return `${target}${source}`;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
