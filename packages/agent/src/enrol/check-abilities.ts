import { AgentError } from '../errors.ts';
import type { Progress } from '../ports/progress.ts';
import type { Abilities } from '../ports/storage-account.ts';

/** What a run can't do without. */
const NEEDED = [
  {
    ability: 'hardLinks',
    words: 'hard links',
    hint: 'hardlink@openssh.com and a file system with hard links',
  },
  {
    ability: 'atomicRename',
    words: 'a rename that replaces',
    hint: 'posix-rename@openssh.com, that is OpenSSH 4.8 or later',
  },
  { ability: 'symlinks', words: 'symbolic links', hint: 'a file system with symbolic links' },
] as const;

/** Of a storage that is not `anyBytesInNames`. */
export const NAMES_NOT_KEPT =
  'some file names are refused there, changed, or taken for others that differ in case alone: a run that meets one fails';
export const NAMES_KEPT_BY =
  'keep the account on a Linux file system such as ext4, or hide names (bakker init --encrypt --hide-names)';

/** Which needed abilities are missing, in words. */
export function missingAbilities(abilities: Abilities): readonly (typeof NEEDED)[number][] {
  return NEEDED.filter(({ ability }) => !abilities[ability]);
}

/** @throws AgentError STORAGE_UNFIT naming all that is missing */
export function checkAbilities(
  abilities: Abilities,
  { account, progress }: { account: string; progress: Pick<Progress, 'warning'> },
): void {
  const missing = missingAbilities(abilities);
  if (missing.length > 0) {
    const words = missing.map((need) => need.words).join(' and ');
    throw new AgentError('STORAGE_UNFIT', `${account} can't do what runs need: ${words}`, {
      hint: `the storage needs ${missing.map((need) => need.hint).join('; ')}`,
    });
  }
  if (!abilities.anyBytesInNames) {
    progress.warning(`${account}: ${NAMES_NOT_KEPT}; ${NAMES_KEPT_BY}`);
  }
}
