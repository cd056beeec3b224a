import { compareRunNames } from '@bakker/impl-format';
import type { RunName } from '@bakker/impl-format';

/**
 * Says what of a storage's runs is not as this server left it: an older state of the account, or runs that it knows
 * nothing of. Only who seals does not trust the storage with that.
 *
 * @param runs - complete ones, oldest first
 * @param kept - those that this server made or read last; one may never have been published
 */
export function warnOfHistory(
  runs: readonly { readonly run: RunName }[],
  { kept, onWarning }: { kept: readonly RunName[]; onWarning: (text: string) => void },
): void {
  const [oldest] = kept.toSorted(compareRunNames);
  const newest = runs.at(-1)?.run;
  if (oldest === undefined || runs.some(({ run }) => kept.includes(run) && run === newest)) return;
  if (newest === undefined || compareRunNames(newest, oldest) < 0) {
    onWarning(
      `the storage shows ${newest === undefined ? 'no run' : `${newest} as the newest run`}, but this server made ${oldest}: ` +
        'either that was deleted, or the storage shows an older state of the account',
    );
    return;
  }
  onWarning(
    `run ${newest} is not the last one that this server knows of (${kept.toSorted(compareRunNames).at(-1) ?? ''}): ` +
      'either its memory is from an earlier time, or somebody else made that run',
  );
}
