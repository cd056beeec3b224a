import { IO_PRIORITY_CHOICES, NO_LIMITS } from '../limits/limits.ts';
import type { IoPriorityChoice, Limits } from '../limits/limits.ts';
import { parseSizeBytes } from './sizes.ts';
import type { YamlValue } from './yaml-reader.ts';

export const LIMIT_KEYS = [
  'limit-upload',
  'limit-download',
  'io-priority',
  'nice',
  'cores',
  'memory',
] as const;
export type LimitKey = (typeof LIMIT_KEYS)[number];

/** A text or number as it stands in the file or on the command line; `problem` says what it must be. */
export type ReadLimit = { readonly limits: Partial<Limits> } | { readonly problem: string };

/** Reads the keys that are there; what is wrong is complained of. */
export function readLimits(given: Partial<Record<LimitKey, YamlValue>>): Limits {
  let limits = NO_LIMITS;
  for (const key of LIMIT_KEYS) {
    const value = given[key];
    if (value === undefined) continue;
    const read = readLimit(key, value.scalar);
    if ('problem' in read) value.complain(read.problem);
    else limits = { ...limits, ...read.limits };
  }
  return limits;
}

/** Reads one of them, for the file and for the flag of the same name. */
export function readLimit(key: LimitKey, value: unknown): ReadLimit {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  switch (key) {
    case 'limit-upload':
    case 'limit-download': {
      const bytesPerS = parseSizeBytes(text);
      if (bytesPerS === undefined || bytesPerS < LEAST_RATE || bytesPerS > MOST_RATE)
        return { problem: 'must be bytes a second such as 500K or 10M, at least 64K' };
      return {
        limits: key === 'limit-upload' ? { uploadBytesPerS: bytesPerS } : { downloadBytesPerS: bytesPerS },
      };
    }
    case 'io-priority':
      return isIoPriority(text)
        ? { limits: { ioPriority: text } }
        : { problem: `must be ${IO_PRIORITY_CHOICES.join(', ')}` };
    case 'nice': {
      const nice = wholeNumber(text, 0, 19);
      return nice === undefined ? { problem: 'must be a whole number from 0 to 19' } : { limits: { nice } };
    }
    case 'cores': {
      const cores = wholeNumber(text, 1, 1024);
      return cores === undefined
        ? { problem: 'must be a whole number from 1 to 1024' }
        : { limits: { cores } };
    }
    case 'memory': {
      const memoryBytes = parseSizeBytes(text);
      if (memoryBytes === undefined || memoryBytes < LEAST_MEMORY || memoryBytes > MOST_MEMORY)
        return { problem: 'must be a size such as 32M or 1G, from 16M to 4G' };
      return { limits: { memoryBytes } };
    }
  }
}

/** Below it, a single write of content would take longer than seconds. */
const LEAST_RATE = 64 * 1024;
const MOST_RATE = 1024 ** 4;
const LEAST_MEMORY = 16 * 1024 ** 2;
const MOST_MEMORY = 4 * 1024 ** 3;

function isIoPriority(text: string): text is IoPriorityChoice {
  return IO_PRIORITY_CHOICES.some((choice) => choice === text);
}

function wholeNumber(text: string, least: number, most: number): number | undefined {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : undefined;
  return number !== undefined && number >= least && number <= most ? number : undefined;
}
