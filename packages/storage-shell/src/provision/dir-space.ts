import type { BackendParts, SpaceBackend } from './backend.ts';
import { accountFolder } from './account-record.ts';
import { ownFolderStep, removeTreeStep } from './folder-steps.ts';
import { policyStep, readPolicy } from './policy-file.ts';

/** A folder of a file system that accounts share; the shell keeps the limit, which is in account.yaml. */
export function dirSpace({ system, record }: BackendParts): SpaceBackend {
  return {
    check: async () => undefined,
    rounded: async (sizeBytes) => sizeBytes,
    provisionSteps: () => [ownFolderStep(system, record, { makes: true })],
    growSteps: (sizeBytes) => [policyStep(system, record, { limitBytes: sizeBytes })],
    removalSteps: () => [removeTreeStep(system, accountFolder(record))],
    async space() {
      const volume = await system.space(accountFolder(record));
      if (volume === undefined) return undefined;
      const { limitBytes } = (await readPolicy(system, record)).space;
      // How much of the shared file system is the account's own is what its sessions have counted.
      const { freeBytes, totalBytes } = volume;
      return { limitBytes, usedBytes: undefined, freeBytes, volumeBytes: totalBytes };
    },
  };
}
