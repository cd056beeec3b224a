import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const SETTLED_MS = 2_100;

export interface SampleOptions {
  readonly files: number;
  /** Size of the smallest and the largest file; sizes between are spread evenly on a logarithmic scale. */
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly filesPerFolder?: number;
  readonly seed?: string;
}

/** Writes files with contents that do not compress and are the same for the same seed. @returns their bytes in all */
export function writeSampleTree(folder: string, options: SampleOptions): number {
  const { files, minBytes = 100, maxBytes = 40_000, filesPerFolder = 50, seed = 'sample' } = options;
  let totalBytes = 0;
  for (let index = 0; index < files; index += 1) {
    const parent = `${folder}/folder ${Math.floor(index / filesPerFolder)}`;
    if (index % filesPerFolder === 0) mkdirSync(parent, { recursive: true });
    const position = (index * 0.618_033_988_75) % 1;
    const sizeBytes = Math.round(minBytes * (maxBytes / minBytes) ** position);
    writeFileSync(`${parent}/file ${index}`, pseudoRandomBytes(`${seed} ${index}`, sizeBytes));
    totalBytes += sizeBytes;
  }
  return totalBytes;
}

/** What changed in the two seconds before it was read is marked so, and told anew by the next run: waits them out. */
export async function settle(): Promise<void> {
  await delay(SETTLED_MS);
}

/** The same bytes for the same seed. */
export function pseudoRandomBytes(seed: string, sizeBytes: number): Buffer {
  return createHash('shake256', { outputLength: Math.max(1, sizeBytes) })
    .update(seed)
    .digest()
    .subarray(0, sizeBytes);
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function pseudoRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
