import type { SpaceRules } from './account-policy.ts';

/**
 * What stays free on a volume, so that publishing and deleting still work: what the policy says, else a fiftieth of the
 * volume, 256 MiB at most.
 */
export function reserveBytesOf({ reserveBytes }: SpaceRules, volumeBytes: number): number {
  return reserveBytes ?? Math.min(Math.floor(volumeBytes / 50), MOST_BYTES);
}

const MOST_BYTES = 256 * 2 ** 20;
