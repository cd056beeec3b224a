import type { Limits } from './limits.ts';
import { TokenBucket } from './token-bucket.ts';

/** What all connections of one command share: undefined where nothing is limited. */
export interface Bandwidth {
  readonly upload: TokenBucket | undefined;
  readonly download: TokenBucket | undefined;
}

export function bandwidthOf(
  { uploadBytesPerS, downloadBytesPerS }: Pick<Limits, 'uploadBytesPerS' | 'downloadBytesPerS'>,
  nowMs: () => number,
): Bandwidth {
  const bucket = (bytesPerS: number | undefined): TokenBucket | undefined =>
    bytesPerS === undefined ? undefined : new TokenBucket({ bytesPerS, nowMs });
  return { upload: bucket(uploadBytesPerS), download: bucket(downloadBytesPerS) };
}
