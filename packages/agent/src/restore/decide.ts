import type { Entry } from '@bakker/impl-format';
import type { TargetItem } from '../ports/restore-target.ts';

/** When what is there already is replaced by what the run has. */
export type Overwrite = 'always' | 'if-changed' | 'if-newer' | 'never';

export const OVERWRITE_CHOICES: readonly Overwrite[] = ['always', 'if-changed', 'if-newer', 'never'];

/**
 * What is to be done at a name:
 * `create` nothing is there · `replace` · `same` content, and only attributes may differ · `keep` as the operator asked ·
 * `blocked` something of another type is in the way, and this mode of overwriting does not remove it.
 */
export type Decision = 'create' | 'replace' | 'same' | 'keep' | 'blocked';

/**
 * Compares an entry of a run that is no folder with what stands at its name. A symlink or node that differs in more
 * than attributes is found by `isSameThing`. Pure.
 */
export function decide(
  entry: Entry,
  existing: TargetItem | undefined,
  { overwrite, isSameThing }: { readonly overwrite: Overwrite; readonly isSameThing: () => boolean },
): Decision {
  if (existing === undefined) return 'create';
  if (overwrite === 'never') return 'keep';
  if (existing.type !== entry.type) return overwrite === 'if-newer' ? 'blocked' : 'replace';
  if (overwrite === 'always') return 'replace';
  if (overwrite === 'if-newer') return entry.mtimeNs > existing.mtimeNs ? 'replace' : 'keep';
  if (entry.type !== 'file') return isSameThing() ? 'same' : 'replace';
  return existing.sizeBytes === entry.sizeBytes && existing.mtimeNs === entry.mtimeNs ? 'same' : 'replace';
}

/** The same for a folder: `same` means that it is entered and its attributes are set at the end. Pure. */
export function decideFolder(existing: TargetItem | undefined, overwrite: Overwrite): Decision {
  if (existing === undefined) return 'create';
  if (existing.type === 'directory') return overwrite === 'never' ? 'keep' : 'same';
  return overwrite === 'never' || overwrite === 'if-newer' ? 'blocked' : 'replace';
}
