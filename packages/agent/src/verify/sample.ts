import { createHash } from 'node:crypto';
import { AgentError } from '../errors.ts';

/** Which files have their content read: those whose path, hashed with the seed, falls below the share. */
export interface Sample {
  /** 0 to 1. */
  readonly share: number;
  /** Said in the output, so that the same files can be read again. */
  readonly seed: string;
}

/** `5%`, `0.5%`, `100 %`. @throws AgentError USAGE */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?%$/.exec(text);
  const percent = Number(match?.[1] ?? Number.NaN);
  if (percent > 0 && percent <= 100) return percent / 100;
  throw new AgentError('USAGE', `--sample ${JSON.stringify(text)} is no share`, {
    hint: 'more than 0% and at most 100%: --sample 5%',
  });
}

/** Every file is as likely as any other, and the choice needs no memory. Pure. */
export function isSampled(path: Buffer, { share, seed }: Sample): boolean {
  const digest = createHash('sha256').update(seed).update('\0').update(path).digest();
  return digest.readUInt32BE(0) / 2 ** 32 < share;
}
