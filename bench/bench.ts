import type { Notes } from './figures.ts';
import type { BothEnds } from './measure.ts';
import { makeStand, type Stand, type StandOptions } from './stand.ts';

/** What every part of the benchmark works with. */
export interface Bench {
  readonly notes: Notes;
  readonly parts: ReadonlySet<string>;
  /** Names of the tools that are measured. */
  readonly tools: readonly string[];
  readonly rounds: number;
  readonly files: number;
  readonly largeBytes: number;
  readonly manyFiles: number;
  /** For configuration, caches and keys. */
  readonly work: string;
  readonly peerCipher: string | undefined;
  readonly ends: BothEnds | undefined;
}

let stands = 0;

export function standOf(
  { work, peerCipher, ends }: Bench,
  options: Pick<StandOptions, 'toolName' | 'source' | 'diskBytes' | 'diskType'>,
): Promise<Stand> {
  stands += 1;
  return makeStand({ ...options, work: `${work}/${stands}`, peerCipher, ends });
}

/** Who begins changes with the round. */
export function inTurn(names: readonly string[], round: number): string[] {
  const first = round % Math.max(1, names.length);
  return [...names.slice(first), ...names.slice(0, first)];
}
