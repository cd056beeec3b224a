import { parseRunName, type RunName } from './run-name.ts';

/** Symbolic link to the newest complete run. */
export const LATEST = 'latest';
/** Everything in an account that is neither a run nor belongs to one. */
export const PRIVATE_FOLDER = '.bakker';
export const RECEIPTS = '.bakker/receipts';
/** Runs under deletion: renamed here first. */
export const TRASH = '.bakker/trash';
/** What unfinished runs left, to be linked by the next one. */
export const CARRIED = '.bakker/carried';

const MANIFEST_SUFFIX = '.impl';
const INCOMPLETE_SUFFIX = '.incomplete';
const DIFF_SUFFIX = '.diff';

/** What a name at the top of an account stands for. */
export type AccountName =
  | { readonly kind: 'run' | 'manifest' | 'incomplete' | 'diff'; readonly run: RunName }
  | { readonly kind: 'latest' | 'private' | 'foreign' };

/** The manifest of a run. */
export function manifestName(run: RunName): string {
  return `${run}${MANIFEST_SUFFIX}`;
}

/** The folder of a run that is not published yet. */
export function incompleteName(run: RunName): string {
  return `${run}${INCOMPLETE_SUFFIX}`;
}

/** The folder that links only what a run added or changed. */
export function diffName(run: RunName): string {
  return `${run}${DIFF_SUFFIX}`;
}

/** Relative to the account. */
export function receiptName(run: RunName): string {
  return `${RECEIPTS}/${run}.json`;
}

/** Sorts a name in an account's folder; `foreign` is everything that bakker did not make. */
export function classifyName(name: Buffer): AccountName {
  const text = name.toString('latin1');
  if (text === LATEST) return { kind: 'latest' };
  if (text === PRIVATE_FOLDER) return { kind: 'private' };
  return (
    runWith(text, '', 'run') ??
    runWith(text, MANIFEST_SUFFIX, 'manifest') ??
    runWith(text, INCOMPLETE_SUFFIX, 'incomplete') ??
    runWith(text, DIFF_SUFFIX, 'diff') ?? { kind: 'foreign' }
  );
}

function runWith(
  text: string,
  suffix: string,
  kind: 'run' | 'manifest' | 'incomplete' | 'diff',
): AccountName | undefined {
  if (!text.endsWith(suffix)) return undefined;
  const run = parseRunName(text.slice(0, text.length - suffix.length));
  return run === undefined ? undefined : { kind, run };
}
