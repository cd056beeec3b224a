import type { SnapshotSettings } from '../config/snapshot-settings.ts';
import type { FreezeProblem, ProviderName } from '../ports/volumes.ts';

/** What a provider says of a volume. */
export interface Finding {
  readonly provider: ProviderName;
  readonly fits: boolean;
  /** `a logical volume, vg0/data`, `not a logical volume`. */
  readonly why: string;
}

export interface Choice {
  readonly provider: ProviderName;
  readonly why: string;
  readonly problem?: FreezeProblem;
}

/** Best first. A mirror doubles the space, so it is never chosen by itself. */
export const AUTOMATIC: readonly ProviderName[] = ['lvm', 'zfs', 'btrfs', 'reflink'];

/**
 * Which provider freezes a volume. Pure.
 *
 * @param settings - of the sources on it
 * @param findings - of those providers that were asked
 */
export function chooseProvider(settings: readonly SnapshotSettings[], findings: readonly Finding[]): Choice {
  const asked = [...new Set(settings.map(({ provider }) => provider))].filter((name) => name !== 'auto');
  const [only, other] = asked;
  if (other !== undefined) {
    return {
      provider: 'none',
      why: `its sources ask for different providers: ${asked.join(', ')}`,
      problem: {
        message: `sources on one file system ask for different snapshots: ${asked.join(', ')}`,
        hint: 'give all sources of a file system the same "snapshot"',
      },
    };
  }
  if (only !== undefined) return explicit(only, findings);
  const reasons: string[] = [];
  for (const name of AUTOMATIC) {
    const finding = findings.find(({ provider }) => provider === name);
    if (finding === undefined) continue;
    if (finding.fits) return { provider: name, why: finding.why };
    if (!reasons.includes(finding.why)) reasons.push(finding.why);
  }
  return { provider: 'none', why: `read live: ${reasons.join('; ')}` };
}

/** The providers whose finding the settings need. */
export function providersToAsk(settings: readonly SnapshotSettings[]): readonly ProviderName[] {
  const asked = settings.map(({ provider }) => provider);
  return asked.every((name) => name === 'auto') ? AUTOMATIC : asked.filter((name) => name !== 'auto');
}

function explicit(provider: ProviderName, findings: readonly Finding[]): Choice {
  if (provider === 'none') return { provider, why: 'read live, as configured' };
  const finding = findings.find((candidate) => candidate.provider === provider);
  const why = finding?.why ?? 'it is not known here';
  if (finding?.fits === true) return { provider, why: `${why}, as configured` };
  return {
    provider,
    why,
    problem: {
      message: `"snapshot: ${provider}" is not possible: ${why}`,
      hint: 'set "snapshot: auto", or one that bakker doctor offers',
    },
  };
}
