import type { SpaceRules } from './account-policy.ts';

/**
 * What stays free on a volume, so that publishing and deleting still work: what the policy says, else a twentieth of the
 * volume, 64 MiB at most.
 */
export function reserveBytesOf({ reserveBytes }: SpaceRules, volumeBytes: number): number {
  return reserveBytes ?? Math.min(Math.floor(volumeBytes / 20), MOST_BYTES);
}

const MOST_BYTES = 64 * 2 ** 20;
