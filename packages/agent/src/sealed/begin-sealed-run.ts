import { newNameKey } from '@bakker/impl-format/sealed';
import type { PublicKey } from '@bakker/impl-format/sealed';
import type { SealingThreads } from '../ports/sealing-threads.ts';
import type { StateFolder } from '../ports/state-folder.ts';
import { clearNaming } from './clear-naming.ts';
import type { SealedRun, SealedRunOptions } from './encryption.ts';
import { HiddenNaming } from './hidden-naming.ts';
import { KeepingHidden } from './keeping-hidden.ts';
import { sealRun } from './seal-run.ts';

export interface SealedRunKeys {
  /** 1 to 32, no two alike. */
  readonly recipients: readonly PublicKey[];
  readonly hidesNames: boolean;
  readonly threads: SealingThreads;
}

export async function beginSealedRun(keys: SealedRunKeys, options: SealedRunOptions): Promise<SealedRun> {
  const { writer, state, accountId, parent, dryRun } = options;
  const sealing = sealRun(keys.recipients, { threads: keys.threads, isHashed: writer.tellsHashes === true });
  const remember = async (): Promise<void> => {
    const memory = await state.sealedAccount(accountId);
    const { since, clear = [], nameKey } = memory ?? {};
    // a clear run that died may have left its name to this one
    if (since !== undefined && !clear.includes(writer.run)) return;
    await state.saveSealedAccount(accountId, {
      since: since ?? writer.run,
      clear: clear.filter((run) => run !== writer.run),
      nameKey,
    });
  };
  const wasHidden = parent?.header.nameKey !== undefined;
  if (!keys.hidesNames) {
    return {
      sealing,
      naming: clearNaming(writer.maxPathBytes, wasHidden),
      keeping: undefined,
      mayKeep: !wasHidden,
      remember,
      [Symbol.asyncDispose]: () => sealing[Symbol.asyncDispose](),
    };
  }
  const nameKey = await nameKeyOf(state, { accountId, known: parent?.header.nameKey, isKept: !dryRun });
  // names under another key than the one that is remembered are not this server's
  const isAsBefore = parent?.header.nameKey?.equals(nameKey) === true;
  const scratch = await state.scratch();
  const { keeper, maxPathBytes } = writer;
  const naming = new HiddenNaming({
    nameKey,
    maxPathBytes,
    parent: isAsBefore ? () => parent.manifest() : undefined,
    filesystems: options.filesystems,
    scratch,
    hasFolder: (path) => options.source.hasFolder(path),
  });
  return {
    sealing,
    naming,
    keeping: keeper && new KeepingHidden(keeper, scratch),
    mayKeep: isAsBefore,
    remember,
    [Symbol.asyncDispose]: async () => {
      scratch[Symbol.dispose]();
      await sealing[Symbol.asyncDispose]();
    },
  };
}

/** The one that is remembered, else the parent's, which a storage may have made; drawn once for an account, and on the disk before it names anything. */
async function nameKeyOf(
  state: StateFolder,
  { accountId, known, isKept }: { accountId: string; known: Buffer | undefined; isKept: boolean },
): Promise<Buffer> {
  const memory = await state.sealedAccount(accountId);
  const nameKey = memory?.nameKey ?? known ?? newNameKey();
  if (isKept && memory?.nameKey?.equals(nameKey) !== true)
    await state.saveSealedAccount(accountId, { since: memory?.since, clear: memory?.clear ?? [], nameKey });
  return nameKey;
}
