import type { ManifestCounts, ManifestTrailer } from './entry.ts';
import { FormatProblem } from './errors.ts';
import {
  asCount,
  asDigest,
  asObject,
  asTimeMs,
  parseObject,
  refuseUnknownKeys,
  timeText,
} from './json-checks.ts';

/** What the last line begins with, and no other does. */
export const TRAILER_START = '{"end":';

const KEYS: ReadonlySet<string> = new Set(['end', 'finishedAt', 'counts', 'addedBytes', 'digest']);
const COUNT_KEYS = ['entries', 'files', 'directories', 'symlinks', 'others', 'unreadable', 'bytes'] as const;

/**
 * The last line, without its newline.
 * @throws FormatProblem if a reader would refuse it
 */
export function encodeTrailerLine(trailer: ManifestTrailer): string {
  const line = trailerText(trailer);
  decodeTrailerLine(line);
  return line;
}

/** @throws FormatProblem MALFORMED if the line is not as `encodeTrailerLine` would write it */
export function decodeTrailerLine(line: string): ManifestTrailer {
  const value = parseObject(line);
  refuseUnknownKeys(value, KEYS);
  const counts = asObject(value['counts'], 'counts');
  const trailer: ManifestTrailer = {
    finishedAtMs: asTimeMs(value['finishedAt'], 'finishedAt'),
    counts: {
      entries: asCount(counts['entries'], 'counts.entries'),
      files: asCount(counts['files'], 'counts.files'),
      directories: asCount(counts['directories'], 'counts.directories'),
      symlinks: asCount(counts['symlinks'], 'counts.symlinks'),
      others: asCount(counts['others'], 'counts.others'),
      unreadable: asCount(counts['unreadable'], 'counts.unreadable'),
      bytes: asCount(counts['bytes'], 'counts.bytes'),
    },
    addedBytes: asCount(value['addedBytes'], 'addedBytes'),
    digest: asDigest(value['digest'], 'digest'),
  };
  if (trailerText(trailer) !== line) throw new FormatProblem('MALFORMED', 'the line is not in its one form');
  return trailer;
}

/** The first count in which the two differ, in words; undefined if they are the same. */
export function countsDiffer(found: ManifestCounts, said: ManifestCounts): string | undefined {
  const key = COUNT_KEYS.find((name) => found[name] !== said[name]);
  return key === undefined
    ? undefined
    : `the trailer counts ${said[key]} ${key}, but there are ${found[key]}`;
}

function trailerText({ finishedAtMs, counts, addedBytes, digest }: ManifestTrailer): string {
  const counted = COUNT_KEYS.map((key) => `"${key}":${counts[key]}`).join(',');
  return (
    `${TRAILER_START}true,"finishedAt":"${timeText(finishedAtMs, 'finishedAt')}","counts":{${counted}}` +
    `,"addedBytes":${addedBytes},"digest":"${digest}"}`
  );
}
