import { setTimeout as sleep } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import { formatAccountAddress } from '../config/account-address.ts';
import type { AccountAddress, Config } from '../config/config.ts';
import { parseConfig } from '../config/parse-config.ts';
import { renderConfig } from '../config/render-config.ts';
import { AgentError } from '../errors.ts';
import { isLineLost } from '../reconnecting.ts';
import type { Enrolment } from '../ports/enrolment.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { Progress } from '../ports/progress.ts';
import { checkAbilities } from './check-abilities.ts';
import { chooseSources } from './choose-sources.ts';
import { refuseOtherSettings } from './other-settings.ts';
import { placeFlags } from './place-flags.ts';
import type { KeyPlan } from './prepare-recipients.ts';
import { provisionAccount, provisionLine } from './provision-account.ts';
import type { ProvisionRequest } from './provision-account.ts';
import { shellQuoted as quoted } from './shell-words.ts';

export interface EnrolRequest {
  readonly account: AccountAddress;
  readonly configFile: string;
  /** For the commands that are printed. */
  readonly stateDir: string;
  readonly identityFile: string | undefined;
  readonly hostKey: string | undefined;
  readonly acceptHostKey: boolean;
  /** Empty: the usual folders. */
  readonly sources: readonly string[];
  readonly transport: 'ssh2' | 'openssh' | undefined;
  /** Makes the account on the storage first, by an administrator's own SSH. */
  readonly provision?: ProvisionRequest | undefined;
  /** Lets the storage say what to back up; the usual folders are then not written down. */
  readonly storageConfig?: boolean;
  /** Seals what is backed up; undefined for clear runs. */
  readonly encryption?: KeyPlan | undefined;
  /** Whether a timer is installed when this is done. */
  readonly timer?: boolean;
}

export interface EnrolTools {
  readonly enrolment: Enrolment;
  readonly progress: Progress;
  /** Resolves if a person says yes. @throws AgentError NOT_CONFIRMED */
  readonly confirm: (question: string) => Promise<void>;
  /** False when nobody can be asked, or nobody wants to be. */
  readonly mayAsk: boolean;
  /** Asked for where runs are sealed. */
  readonly keys: () => Promise<KeyFiles>;
}

export interface Enrolled {
  readonly account: string;
  readonly configFile: string;
  readonly identityFile: string | null;
  readonly hostKey: string | null;
  /** Files and folders that this call made. */
  readonly created: readonly string[];
  readonly nextStep: string;
}

/**
 * Makes this machine ready to back up to an account: key, pinned host key, a try with real requests, configuration.
 * The configuration is written last, so that it exists only if the account works; run again, it goes on with the key
 * that is there, and leaves a configuration that works as it is.
 *
 * @throws AgentError AUTHENTICATION_FAILED with the line for authorized_keys, HOST_KEY_CHANGED, STORAGE_UNREACHABLE,
 * STORAGE_UNFIT, CONFIG_INVALID, NOT_CONFIRMED
 */
export async function enrol(request: EnrolRequest, tools: EnrolTools): Promise<Enrolled> {
  const { enrolment, progress } = tools;
  const existing = await enrolment.readConfig(request.configFile);
  if (existing !== undefined) {
    refuseOtherSettings(existing, request);
    const keys = await replaceLostKey(existing, request, tools);
    await provisionAccount(request, { tools, identityFile: existing.ssh.identityFile });
    const folders = await makeLocalFolder(existing.account, enrolment);
    await tryAccount(existing, request, tools);
    return outcome(existing, {
      request,
      created: [...keys, ...folders, ...(await nameRecipients(request, tools))],
    });
  }
  const created: string[] = [];
  const { account } = request;
  if (account.kind === 'local') refuseSshFlags(request);
  const transport = request.transport ?? 'ssh2';
  const identityFile = await prepareKey(request, { tools, transport, created });
  const hostKeys = await provisionAccount(request, { tools, identityFile });
  const hostKey = await pinHostKey(request, { tools, transport, hostKeys });
  created.push(...(await makeLocalFolder(account, enrolment)));
  const storageConfig = request.storageConfig ?? false;
  const sources =
    storageConfig && request.sources.length === 0
      ? []
      : await chooseSources(request, { enrolment, progress });

  const text = renderConfig({
    account,
    ...(identityFile === undefined ? {} : { identityFile }),
    ...(hostKey === undefined ? {} : { hostKey }),
    transport,
    sources,
    storageConfig,
    encrypt: request.encryption && { hidesNames: request.encryption.hidesNames },
  });
  const config = parseConfig(text, request.configFile);
  await tryAccount(config, request, tools).catch((error: unknown) => {
    throw isOtherHostKey(error) ? otherThanAsked(error, request) : error;
  });
  created.push(...(await nameRecipients(request, tools)));
  await enrolment.writeConfig(request.configFile, text);
  created.push(request.configFile);
  return outcome(config, { request, created });
}

/** @returns the folder, if it was missing; over SSH the try makes it */
async function makeLocalFolder(account: AccountAddress, enrolment: Enrolment): Promise<readonly string[]> {
  const isMade = account.kind === 'local' && (await enrolment.makeFolder(account.folder));
  return isMade ? [account.folder] : [];
}

async function nameRecipients(request: EnrolRequest, tools: EnrolTools): Promise<readonly string[]> {
  if (request.encryption === undefined) return [];
  const { prepareRecipients } = await import('./prepare-recipients.ts');
  const { progress, mayAsk } = tools;
  const keys = await tools.keys();
  return prepareRecipients(request.encryption, { configFile: request.configFile, keys, progress, mayAsk });
}

function outcome(
  config: Config,
  { request, created }: { request: EnrolRequest; created: readonly string[] },
): Enrolled {
  const isSsh = config.account.kind === 'ssh';
  return {
    account: formatAccountAddress(config.account),
    configFile: config.file,
    identityFile: (isSsh ? config.ssh.identityFile : undefined) ?? null,
    hostKey: (isSsh ? config.ssh.hostKey : undefined) ?? null,
    created,
    nextStep: `bakker backup${placeFlags(request)}`,
  };
}

/** Told at once if it can't be used: no line on the storage would help. */
async function prepareKey(
  request: EnrolRequest,
  { tools, transport, created }: { tools: EnrolTools; transport: 'ssh2' | 'openssh'; created: string[] },
): Promise<string | undefined> {
  if (request.account.kind === 'local') return undefined;
  if (request.identityFile !== undefined) {
    if (transport === 'ssh2') await tools.enrolment.checkKey(request.identityFile);
    return request.identityFile;
  }
  // With the system's ssh, its own configuration or an agent chooses the key.
  if (transport === 'openssh') return undefined;
  const file = ownKeyFile(request);
  created.push(...(await makeKey(file, tools)));
  await tools.enrolment.checkKey(file);
  return file;
}

function ownKeyFile({ configFile }: EnrolRequest): string {
  return join(dirname(configFile), 'id_ed25519');
}

/** @returns the files, if there were none */
async function makeKey(file: string, { enrolment, progress }: EnrolTools): Promise<readonly string[]> {
  if (!(await enrolment.makeKeyPair(file))) return [];
  progress.message(`made the key ${file}`);
  return [file, `${file}.pub`];
}

/** A key that init made is made anew if it is gone; one that somebody brought is his to bring back. */
async function replaceLostKey(
  { ssh }: Config,
  request: EnrolRequest,
  tools: EnrolTools,
): Promise<readonly string[]> {
  const file = ownKeyFile(request);
  return ssh.identityFile === file && request.identityFile === undefined ? makeKey(file, tools) : [];
}

async function pinHostKey(
  request: EnrolRequest,
  about: { tools: EnrolTools; transport: 'ssh2' | 'openssh'; hostKeys: readonly string[] },
): Promise<string | undefined> {
  const { account } = request;
  const { tools, transport, hostKeys } = about;
  if (account.kind === 'local') return undefined;
  // Logging in compares it.
  if (request.hostKey !== undefined) return request.hostKey;
  // With the system's ssh, known_hosts says which key is right, as for every other use of ssh.
  if (transport === 'openssh' && !request.acceptHostKey) return undefined;
  const { type, fingerprint } = await reach(request, () => tools.enrolment.fetchHostKey(account));
  tools.progress.message(`${account.host} shows the host key ${type} ${fingerprint}`);
  // The storage itself said so, over the administrator's connection.
  if (request.acceptHostKey || hostKeys.includes(fingerprint)) return fingerprint;
  if (hostKeys.length > 0) {
    throw new AgentError(
      'HOST_KEY_CHANGED',
      `${account.host} shows ${fingerprint}, which is none of the host keys of the machine that was provisioned`,
      { hint: `is ${account.host} that machine? Its keys: ${hostKeys.join(', ')}` },
    );
  }
  if (!tools.mayAsk) {
    throw new AgentError(
      'NOT_CONFIRMED',
      `nobody said that ${fingerprint} is the host key of ${account.host}`,
      {
        hint: `compare it on the storage (ssh-keygen -lf /etc/ssh/ssh_host_${shortType(type)}_key.pub), then add --host-key ${fingerprint}; --accept-host-key trusts what is shown`,
      },
    );
  }
  await tools.confirm(`Is this the fingerprint that the administrator of ${account.host} told you?`);
  return fingerprint;
}

async function tryAccount(config: Config, request: EnrolRequest, tools: EnrolTools): Promise<void> {
  const { enrolment, progress } = tools;
  progress.stage('trying the account');
  try {
    const abilities = await reach(request, () => enrolment.probe(config));
    checkAbilities(abilities, { account: formatAccountAddress(config.account), progress });
  } catch (error) {
    const { identityFile } = config.ssh;
    if (
      !(error instanceof AgentError) ||
      error.code !== 'AUTHENTICATION_FAILED' ||
      identityFile === undefined
    ) {
      throw error;
    }
    throw await notYetAuthorized(error, { config, identityFile, request, tools });
  }
}

/** Provisioning has sshd read its configuration anew, and for a moment it takes no connection. */
async function reach<T>(request: EnrolRequest, act: () => Promise<T>): Promise<T> {
  const waitsMs = request.provision === undefined ? [] : RESTART_WAITS_MS;
  for (const waitMs of waitsMs) {
    try {
      return await act();
    } catch (error) {
      if (!isLineLost(error)) throw error;
      await sleep(waitMs);
    }
  }
  return act();
}

function isOtherHostKey(error: unknown): error is AgentError {
  return error instanceof AgentError && error.code === 'HOST_KEY_CHANGED';
}

/** There is no configuration yet that it could be corrected in. */
function otherThanAsked(cause: AgentError, { account, hostKey }: EnrolRequest): AgentError {
  const host = account.kind === 'ssh' ? account.host : 'the storage';
  const say =
    hostKey === undefined
      ? 'say it with --host-key, or add it to your known_hosts'
      : 'say that one with --host-key';
  return new AgentError('HOST_KEY_CHANGED', cause.message, {
    hint: `ask the administrator of ${host}; only if the key that it shows is genuine, ${say}`,
    cause,
  });
}

/** The usual end of a first call: the storage does not know the key yet. */
async function notYetAuthorized(
  cause: AgentError,
  about: { config: Config; identityFile: string; request: EnrolRequest; tools: EnrolTools },
): Promise<AgentError> {
  const { identityFile, request, tools } = about;
  const user = request.account.kind === 'ssh' ? request.account.user : '';
  // On lines of their own, to be copied.
  const line = await tools.enrolment.authorizedKeysLine(identityFile);
  tools.progress.message('where the storage has bakker-storage, its administrator runs:');
  tools.progress.message(provisionLine(user, await tools.enrolment.publicKey(identityFile)));
  tools.progress.message(`elsewhere, add this line to the authorized_keys of ${user} on the storage:`);
  tools.progress.message(line);
  return new AgentError('AUTHENTICATION_FAILED', cause.message, {
    hint: `let ${user} log in with it (${identityFile}.pub) by one of the two, then run: ${again(about)}`,
    cause,
  });
}

/** The same call again, with the host key that was confirmed. */
function again({ config, request }: { config: Config; request: EnrolRequest }): string {
  return [
    'bakker init',
    quoted(formatAccountAddress(request.account)),
    ...(request.identityFile === undefined ? [] : [`--identity ${quoted(request.identityFile)}`]),
    ...(config.ssh.hostKey === undefined ? [] : [`--host-key ${config.ssh.hostKey}`]),
    ...(request.transport === undefined ? [] : [`--transport ${request.transport}`]),
    ...request.sources.map((source) => `--source ${quoted(source)}`),
    ...(request.storageConfig === true ? ['--storage-config'] : []),
    ...sealingFlags(request.encryption),
    ...(request.timer === true ? ['--timer'] : []),
  ]
    .join(' ')
    .concat(placeFlags(request));
}

function sealingFlags(plan: KeyPlan | undefined): string[] {
  if (plan === undefined) return [];
  return [
    '--encrypt',
    ...plan.recipients.map((word) => `--recipient ${quoted(word)}`),
    ...(plan.hidesNames ? ['--hide-names'] : []),
    ...(plan.keepsKey ? ['--keep-key'] : []),
    ...(plan.identityFile === undefined ? [] : [`--identity-key ${quoted(plan.identityFile)}`]),
  ];
}

const RESTART_WAITS_MS: readonly number[] = [100, 200, 500, 1000, 2000, 4000];

function refuseSshFlags(request: EnrolRequest): void {
  const flags = [
    request.identityFile === undefined ? [] : ['--identity'],
    request.hostKey === undefined ? [] : ['--host-key'],
    request.acceptHostKey ? ['--accept-host-key'] : [],
    request.transport === undefined ? [] : ['--transport'],
    request.provision === undefined ? [] : ['--provision'],
  ].flat();
  if (flags.length === 0) return;
  throw new AgentError('USAGE', `${flags.join(', ')}: a local folder is reached without SSH`, {
    hint: 'leave it out, or name an account as user@host:/path',
  });
}

function shortType(type: string): string {
  if (type.startsWith('ecdsa')) return 'ecdsa';
  return type === 'ssh-ed25519' ? 'ed25519' : 'rsa';
}
