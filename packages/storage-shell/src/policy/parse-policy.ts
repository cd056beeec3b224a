import { nearestName } from '@bakker/command-line';
import { StorageError } from '../errors.ts';
import { DEFAULT_POLICY } from './account-policy.ts';
import type { AccountPolicy, FreezeRules, RetentionRules, SpaceRules, TrashRules } from './account-policy.ts';
import { formatSizeBytes, parseSizeBytes } from './sizes.ts';
import { readSections } from './yaml-sections.ts';
import type { Section } from './yaml-sections.ts';

/** Every key of account.yaml by its section. docs/retention.md describes them. */
export const POLICY_KEYS = {
  retention: ['days', 'instances', 'months', 'years'],
  freeze: ['share', 'min-files', 'max-runs-a-day'],
  space: ['limit', 'reserve', 'ceiling'],
  trash: ['keep-hours'],
} as const;

/**
 * Reads `.bakker/account.yaml`.
 *
 * @param file - its name, for messages
 * @returns deeply frozen; what the text does not say is as in DEFAULT_POLICY
 * @throws StorageError CONFIG_INVALID listing every problem with its line
 */
export function parseAccountPolicy(text: string, file: string): AccountPolicy {
  const { sections, problems } = readSections(text, POLICY_KEYS, nearestName);
  const policy: AccountPolicy = {
    retention: readRetention(sections.retention),
    freeze: readFreeze(sections.freeze),
    space: readSpace(sections.space),
    trash: readTrash(sections.trash),
  };
  if (problems.length > 0) throw listing(file, problems);
  for (const part of Object.values(policy) as object[]) Object.freeze(part);
  return Object.freeze(policy);
}

/** The text that `parseAccountPolicy` reads back to the same policy. Every key is in it, so that people see them. */
export function formatAccountPolicy({ retention, freeze, space, trash }: AccountPolicy): string {
  const size = (bytes: number | undefined): string =>
    bytes === undefined ? 'none' : String(formatSizeBytes(bytes));
  return `# What this storage keeps of the account. The account's server can't change it.
retention:
  days: ${retention.days}
  instances: ${retention.instances}
  months: ${retention.months}
  years: ${retention.years}
freeze:
  share: ${Number((freeze.goneShare * 100).toFixed(6))}%
  min-files: ${freeze.minFiles}
  max-runs-a-day: ${freeze.maxRunsADay}
space:
  limit: ${size(space.limitBytes)}
  reserve: ${size(space.reserveBytes)}
  ceiling: ${size(space.ceilingBytes)}
trash:
  keep-hours: ${trash.keepHours}
`;
}

const MOST = 100_000;
const COUNT = `must be a whole number from 0 to ${MOST}`;

function readRetention(section: Section<(typeof POLICY_KEYS.retention)[number]>): RetentionRules {
  const standard = DEFAULT_POLICY.retention;
  const rules = {
    days: readCount(section, 'days') ?? standard.days,
    instances: readCount(section, 'instances') ?? standard.instances,
    months: readCount(section, 'months') ?? standard.months,
    years: readCount(section, 'years') ?? standard.years,
  };
  if (Object.values(rules).every((count) => count === 0))
    section.complain('nothing but zeros would keep nothing');
  return rules;
}

function readFreeze(section: Section<(typeof POLICY_KEYS.freeze)[number]>): FreezeRules {
  const standard = DEFAULT_POLICY.freeze;
  return {
    goneShare: readShare(section) ?? standard.goneShare,
    minFiles: readCount(section, 'min-files') ?? standard.minFiles,
    maxRunsADay: readCount(section, 'max-runs-a-day') ?? standard.maxRunsADay,
  };
}

function readShare(section: Section<'share'>): number | undefined {
  const value = section.value('share');
  if (value === undefined) return undefined;
  const percent =
    typeof value === 'string' ? /^([0-9]{1,3}(?:\.[0-9]+)?) ?%$/.exec(value.trim())?.[1] : undefined;
  const share = percent === undefined ? value : Number(percent) / 100;
  if (typeof share === 'number' && share >= 0 && share <= 1) return share;
  section.complain('must be a share such as 50%, or 0.5', 'share');
  return undefined;
}

function readSpace(section: Section<(typeof POLICY_KEYS.space)[number]>): SpaceRules {
  const standard = DEFAULT_POLICY.space;
  const rules = {
    limitBytes: readSize(section, 'limit', standard.limitBytes),
    reserveBytes: readSize(section, 'reserve', standard.reserveBytes),
    ceilingBytes: readSize(section, 'ceiling', standard.ceilingBytes),
  };
  const { limitBytes, ceilingBytes } = rules;
  if (ceilingBytes !== undefined && limitBytes === undefined)
    section.complain('means nothing without a limit', 'ceiling');
  else if (ceilingBytes !== undefined && limitBytes !== undefined && ceilingBytes < limitBytes)
    section.complain('must not be below the limit', 'ceiling');
  return rules;
}

function readSize<Key extends string>(
  section: Section<Key>,
  key: Key,
  standard: number | undefined,
): number | undefined {
  const value = section.value(key);
  if (value === undefined) return standard;
  if (value === 'none') return undefined;
  const bytes = parseSizeBytes(value);
  if (bytes === undefined) section.complain('must be a size such as 500M or 20G, or none', key);
  return bytes;
}

function readTrash(section: Section<(typeof POLICY_KEYS.trash)[number]>): TrashRules {
  return { keepHours: readCount(section, 'keep-hours') ?? DEFAULT_POLICY.trash.keepHours };
}

function readCount<Key extends string>(section: Section<Key>, key: Key): number | undefined {
  const value = section.value(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST) return value;
  section.complain(COUNT, key);
  return undefined;
}

function listing(file: string, problems: readonly { line: number; text: string }[]): StorageError {
  const sorted = problems.toSorted((a, b) => a.line - b.line);
  const count = sorted.length === 1 ? 'a problem' : `${sorted.length} problems`;
  const lines = sorted.map(({ line, text }) => `  line ${line}: ${text}`);
  return new StorageError('CONFIG_INVALID', `${file} has ${count}:\n${lines.join('\n')}`, {
    hint: 'correct the file; docs/retention.md describes every key',
  });
}
