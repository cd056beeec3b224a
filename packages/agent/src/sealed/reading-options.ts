import { compareRunNames } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';
import type { PrivateKey } from '@bakker/impl-format/sealed';
import { warnOfHistory } from '../backup/warn-of-history.ts';
import { AgentError } from '../errors.ts';
import { isKeyAtHand } from '../keys/key-at-hand.ts';
import type { KeyFiles } from '../ports/key-files.ts';
import type { SealingThreads } from '../ports/sealing-threads.ts';
import type { SealedAccountMemory, StateFolder } from '../ports/state-folder.ts';
import type { StorageAccount } from '../ports/storage-account.ts';
import type { OpeningOptions } from './opening-account.ts';

export interface ReadingSource {
  readonly account: StorageAccount;
  /** Whether this server seals what it backs up to this account, by its configuration. */
  readonly isOwnAndSealed: boolean;
  /** What `--identity-key` says: of runs that were sealed to different keys, each needs its own. */
  readonly identityFiles: readonly string[];
  /** A private key that this server keeps for itself. */
  readonly keptFile: string;
  readonly keys: () => Promise<KeyFiles>;
  readonly threads: () => Promise<SealingThreads>;
  readonly state: () => Promise<StateFolder>;
  readonly warn: (text: string) => void;
}

/** Where keys come from, and what this server remembers, for commands that read. */
export function readingOptions(source: ReadingSource): OpeningOptions {
  const { identityFiles, keptFile, isOwnAndSealed, warn } = source;
  let remembered: Promise<Remembered | undefined> | undefined;
  const memory = () => (remembered ??= isOwnAndSealed ? remember(source) : Promise.resolve(undefined));
  let hasWarned = false;
  let hasOpened = false;
  // who has a key ready means to open what is sealed
  const meansToOpen = async (): Promise<boolean> =>
    isOwnAndSealed || hasOpened || identityFiles.length > 0 || isKeyAtHand(await source.keys(), keptFile);
  return {
    keyring: async () => {
      const [{ Keyring }, { findIdentity }] = await Promise.all([
        import('@bakker/impl-format/sealed'),
        import('../keys/find-identity.ts'),
      ]);
      const privateKeys: PrivateKey[] = [];
      // one after the other: each may ask for a passphrase
      for (const file of identityFiles.length === 0 ? [undefined] : identityFiles)
        privateKeys.push(
          (await findIdentity({ file, keptFile }, { keys: await source.keys(), warn })).privateKey,
        );
      hasOpened = true;
      return new Keyring(privateKeys);
    },
    opening: async (keyring) => (await source.threads()).opening(keyring),
    knownSha256: async (run) => (await (await memory())?.state.keptManifest(run))?.stored.sha256,
    checkClear: async (run) => {
      const known = await memory();
      if (known !== undefined) refuseClear(run, known.account);
      if (known !== undefined || hasWarned || !(await meansToOpen())) return;
      hasWarned = true;
      warn(`${run} is not sealed: this server does not remember whether it should be`);
    },
    checkRuns: async (runs) => {
      const known = await memory();
      if (known === undefined) return;
      const complete = runs.filter(({ state }) => state === 'complete');
      warnOfHistory(complete, { kept: await known.state.keptRuns(), onWarning: warn });
    },
  };
}

interface Remembered {
  readonly state: StateFolder;
  readonly account: SealedAccountMemory;
}

/** Undefined where this machine has no memory of the account: it is lost, for another account, or not for this user's eyes. */
async function remember({ account, state: open, warn }: ReadingSource): Promise<Remembered | undefined> {
  try {
    const state = await open();
    const identity = await account.identity();
    const memory = await state.sealedAccount(identity);
    if (memory === undefined && (await state.hasOtherSealedAccount(identity)))
      warn(
        `${account.address} calls itself another account than the one that this server has sealed: nothing in it can be compared ` +
          'with what is remembered; unless you moved it, somebody exchanged it',
      );
    return memory && { state, account: memory };
  } catch (error) {
    if (error instanceof AgentError && error.code === 'STATE_UNUSABLE') return undefined;
    throw error;
  }
}

function refuseClear(run: RunName, { since, clear }: SealedAccountMemory): void {
  if (since === undefined || compareRunNames(run, since) < 0 || clear.includes(run)) return;
  const but = clear.length === 0 ? '' : ', but those that were to lie open';
  throw new AgentError(
    'MANIFEST_DAMAGED',
    `${run} is not sealed, and this server has sealed every run since ${since}${but}: it did not make this one so`,
    { hint: 'somebody exchanged it on the storage; choose another run: bakker list' },
  );
}
