import type { FreezeRules } from '../policy/account-policy.ts';

/** What is known of an account at the moment a run was published. */
export interface PublishedFigures {
  /** Files of the parent; 0 for a first run. */
  readonly parentFiles: number;
  /** How many files of the new run are in it as complete runs have them, under whatever name. */
  readonly keptFiles: number;
  /** Runs received in the 24 hours up to now, this one among them. */
  readonly runsReceivedLastDay: number;
  readonly policy: FreezeRules;
}

/**
 * Why retention has to wait for an administrator after this run, or undefined. What ransomware leaves behind looks like
 * a run that kept nearly nothing; what wants to push good runs out looks like many runs. Pure.
 */
export function freezeReason(figures: PublishedFigures): string | undefined {
  const { parentFiles, keptFiles, runsReceivedLastDay, policy } = figures;
  const goneFiles = Math.max(0, parentFiles - keptFiles);
  if (parentFiles >= policy.minFiles && parentFiles > 0 && goneFiles > parentFiles * policy.goneShare) {
    const percent = Math.floor((goneFiles / parentFiles) * 100);
    return `${goneFiles} of ${parentFiles} files (${percent} %) are gone or were rewritten`;
  }
  if (runsReceivedLastDay > policy.maxRunsADay)
    return `${runsReceivedLastDay} runs came within 24 hours, more than ${policy.maxRunsADay}`;
  return undefined;
}
