import { parseDocument } from 'yaml';
import { StorageError } from '../errors.ts';
import { DEFAULT_POLICY } from '../policy/account-policy.ts';
import type { AccountPolicy } from '../policy/account-policy.ts';
import { formatAccountPolicy, parseAccountPolicy } from '../policy/parse-policy.ts';
import type { System, WriteOptions } from '../ports/system.ts';
import { accountFolder } from './account-record.ts';
import type { AccountRecord } from './account-record.ts';
import { fileStep } from './file-steps.ts';
import { sizeText } from './sizes.ts';
import type { Step } from './steps.ts';
import { mustFindUser } from './user-steps.ts';

export function privateFolder(record: AccountRecord): string {
  return `${accountFolder(record)}/.bakker`;
}

export function policyFile(record: AccountRecord): string {
  return `${privateFolder(record)}/account.yaml`;
}

/** What the account's server is told to back up. */
export function agentConfigFile(record: AccountRecord): string {
  return `${privateFolder(record)}/agent.yaml`;
}

/** The standard one where there is no file. @throws StorageError CONFIG_INVALID */
export async function readPolicy(system: System, record: AccountRecord): Promise<AccountPolicy> {
  const file = policyFile(record);
  const text = await system.readText(file);
  return text === undefined ? DEFAULT_POLICY : parseAccountPolicy(text, file);
}

/**
 * For root's files in the account's private folder: readable by the account alone.
 *
 * @throws StorageError ACCOUNT_UNUSABLE if the folder is none of its own: a symlink there would have root write elsewhere
 */
export async function privateFileOptions(
  system: System,
  record: AccountRecord,
): Promise<WriteOptions & { readonly gid: number }> {
  const user = await mustFindUser(system, record.name);
  for (const folder of [accountFolder(record), privateFolder(record)]) {
    const facts = await system.inspect(folder);
    if (facts?.type === 'folder' && facts.uid === user.uid) continue;
    throw new StorageError('ACCOUNT_UNUSABLE', `${folder} is not a folder of ${record.name}`, {
      hint: `mount its volume, or make the account whole: bakker-storage provision ${record.name}`,
    });
  }
  return { mode: 0o640, gid: user.gid };
}

/** What is to be changed; absent keys stay as they are. */
export interface SpaceChange {
  readonly limitBytes?: number;
  readonly ceilingBytes?: number;
  readonly reserveBytes?: number;
}

/** The account's own private folder, where its sessions keep what is not a run. */
export function privateFolderStep(system: System, record: AccountRecord): Step {
  const folder = privateFolder(record);
  return {
    title: `make ${folder}`,
    lines: [`install -d -o ${record.name} -g ${record.name} -m 0700 ${folder}`],
    isDone: async () => (await system.inspect(folder))?.type === 'folder',
    do: async () => {
      const { uid, gid } = await mustFindUser(system, record.name);
      await system.makeFolder(folder, { mode: 0o700, uid, gid });
    },
    undo: async () => {
      await system.removeEmptyFolder(folder);
    },
  };
}

/** Makes root's files root's again where a `chown -R` of the whole folder gave them to the account. */
export function ownFilesSteps(system: System, record: AccountRecord): Step[] {
  return [policyFile(record), agentConfigFile(record)].map((path) => ({
    title: `take ${path} back from ${record.name}`,
    lines: [`chown root:${record.name} ${path}`, `chmod 0640 ${path}`],
    isDone: async () => {
      const facts = await system.inspect(path);
      return facts?.type !== 'file' || facts.uid !== (await system.user(record.name))?.uid;
    },
    do: async () => {
      await system.setOwner(path, { uid: 0, ...(await privateFileOptions(system, record)) });
    },
  }));
}

/** Writes account.yaml, root's and readable by the account, with the change in it. Comments and other keys stay. */
export function policyStep(system: System, record: AccountRecord, change: SpaceChange): Step {
  const path = policyFile(record);
  return fileStep(system, {
    title: `write the policy of ${record.name}`,
    path,
    text: (existing) => changedPolicy(existing, change, path),
    options: () => privateFileOptions(system, record),
    lines: Object.entries(asKeys(change)).map(([key, value]) => `space.${key}: ${value}`),
  });
}

/** @returns undefined if it says so already */
export function changedPolicy(
  existing: string | undefined,
  change: SpaceChange,
  file: string,
): string | undefined {
  const before = existing === undefined ? undefined : parseAccountPolicy(existing, file);
  const wanted = Object.entries(change).filter(
    ([key, value]) => value !== undefined && before?.space[key as keyof SpaceChange] !== value,
  );
  if (before !== undefined && wanted.length === 0) return undefined;
  const document = parseDocument(existing ?? formatAccountPolicy(DEFAULT_POLICY));
  for (const [key, value] of Object.entries(asKeys(change))) document.setIn(['space', key], value);
  const text = document.toString();
  try {
    parseAccountPolicy(text, file);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    throw new StorageError('USAGE', error.message.replace(/\n\s*/g, ' '), {
      hint: 'a ceiling needs a limit, and is not below it',
    });
  }
  return text;
}

function asKeys({ limitBytes, ceilingBytes, reserveBytes }: SpaceChange): Record<string, string> {
  return {
    ...(limitBytes === undefined ? {} : { limit: sizeText(limitBytes) }),
    ...(reserveBytes === undefined ? {} : { reserve: sizeText(reserveBytes) }),
    ...(ceilingBytes === undefined ? {} : { ceiling: sizeText(ceilingBytes) }),
  };
}
