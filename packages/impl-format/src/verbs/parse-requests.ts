import { FormatProblem } from '../errors.ts';
import { asArray, asCount, asDigest, asObject, asRun, asText, refuseUnknownKeys } from '../json-checks.ts';
import type { RunName } from '../run-name.ts';
import { asChoice, asFlag, orNull } from './body-checks.ts';
import { decodeBody } from './json-body.ts';
import type {
  BeginRequest,
  HelloRequest,
  ListRequest,
  ObjectCounts,
  PublishRequest,
  RunFigures,
  SpaceRequest,
  UsageRequest,
  VerdictsRequest,
} from './messages.ts';

const MAX_VERSIONS = 64;
const MAX_PROGRAM_LENGTH = 256;
const MAX_REASON_LENGTH = 4096;
const MAX_USAGE_RUNS = 10_000;

/** Bodies as the storage gets them, without the length before them. Each throws FormatProblem MALFORMED for anything else than documented. */

export function parseHelloRequest(body: Buffer): HelloRequest {
  const value = fields(body, ['versions', 'program']);
  const versions = asArray(value['versions'], 'versions');
  if (versions.length > MAX_VERSIONS) throw new FormatProblem('MALFORMED', 'too many versions');
  return {
    versions: versions.map((version) => asCount(version, 'a version')),
    program: asShortText(value['program'], 'program', MAX_PROGRAM_LENGTH),
  };
}

export function parseListRequest(body: Buffer): ListRequest {
  const value = fields(body, ['after', 'receipts']);
  return {
    ...(value['after'] === undefined ? {} : { after: asRun(value['after'], 'after') }),
    ...(value['receipts'] === undefined ? {} : { receipts: asFlag(value['receipts'], 'receipts') }),
  };
}

export function parseBeginRequest(body: Buffer): BeginRequest {
  const value = fields(body, ['parent']);
  return { parent: orNull(value['parent'], (parent) => asRun(parent, 'parent')) };
}

export function parsePublishRequest(body: Buffer): PublishRequest {
  const value = fields(body, ['objects', 'manifestSha256', 'receipt']);
  return {
    objects: asObjectCounts(value['objects']),
    manifestSha256: orNull(value['manifestSha256'], (digest) => asDigest(digest, 'manifestSha256')),
    receipt: asRunFigures(value['receipt']),
  };
}

export function parseVerdictsRequest(body: Buffer): VerdictsRequest {
  const { after } = fields(body, ['after']);
  return after === undefined ? {} : { after: asRun(after, 'after') };
}

export function parseUsageRequest(body: Buffer): UsageRequest {
  const runs = asArray(fields(body, ['runs'])['runs'], 'runs');
  if (runs.length > MAX_USAGE_RUNS) throw new FormatProblem('MALFORMED', 'too many runs');
  const names: RunName[] = runs.map((run) => asRun(run, 'a run'));
  if (new Set(names).size !== names.length) throw new FormatProblem('MALFORMED', 'a run is there twice');
  return { runs: names };
}

export function parseSpaceRequest(body: Buffer): SpaceRequest {
  return { bytes: asCount(fields(body, ['bytes'])['bytes'], 'bytes') };
}

/** For `abandon`, `clean-up` and `space`: `{}`. */
export function parseEmptyRequest(body: Buffer): void {
  fields(body, []);
}

function fields(body: Buffer, known: readonly string[]): Record<string, unknown> {
  const value = decodeBody(body);
  refuseUnknownKeys(value, new Set(known));
  return value;
}

function asObjectCounts(value: unknown): ObjectCounts {
  const objects = asObject(value, 'objects');
  refuseUnknownKeys(objects, new Set(['files', 'directories', 'symlinks', 'bytes']));
  return {
    files: asCount(objects['files'], 'objects.files'),
    directories: asCount(objects['directories'], 'objects.directories'),
    symlinks: asCount(objects['symlinks'], 'objects.symlinks'),
    bytes: asCount(objects['bytes'], 'objects.bytes'),
  };
}

function asRunFigures(value: unknown): RunFigures {
  const figures = asObject(value, 'receipt');
  refuseUnknownKeys(figures, FIGURE_KEYS);
  const frozen = figures['frozen'];
  return {
    status: asChoice(figures['status'], ['complete', 'partial'], 'receipt.status'),
    startedAtMs: asCount(figures['startedAtMs'], 'receipt.startedAtMs'),
    finishedAtMs: asCount(figures['finishedAtMs'], 'receipt.finishedAtMs'),
    files: asCount(figures['files'], 'receipt.files'),
    sourceBytes: asCount(figures['sourceBytes'], 'receipt.sourceBytes'),
    addedBytes: asCount(figures['addedBytes'], 'receipt.addedBytes'),
    manifestDigest: asDigest(figures['manifestDigest'], 'receipt.manifestDigest'),
    ...(frozen === undefined ? {} : { frozen: asShortText(frozen, 'receipt.frozen', MAX_REASON_LENGTH) }),
  };
}

const FIGURE_KEYS: ReadonlySet<string> = new Set([
  'status',
  'startedAtMs',
  'finishedAtMs',
  'files',
  'sourceBytes',
  'addedBytes',
  'manifestDigest',
  'frozen',
]);

function asShortText(value: unknown, name: string, maxLength: number): string {
  const text = asText(value, name);
  if (text.length > maxLength) throw new FormatProblem('MALFORMED', `${name} is too long`);
  return text;
}
