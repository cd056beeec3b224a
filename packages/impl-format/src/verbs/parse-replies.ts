import { decodeByteText, toByteText } from '../byte-text.ts';
import { FormatProblem } from '../errors.ts';
import { asArray, asCount, asDigest, asObject, asRun, asText, refuseUnknownKeys } from '../json-checks.ts';
import { checkPath } from '../path-order.ts';
import { asChoice, asFlag, asToken, orNull } from './body-checks.ts';
import { decodeBody, encodeBody } from './json-body.ts';
import { MAX_JUDGED_RUNS, MAX_LISTED_RUNS } from './protocol.ts';
import type {
  BeginReply,
  Freeze,
  HelloReply,
  HurtFile,
  ListedRun,
  ListReply,
  PublishReply,
  ReceivedFigures,
  RunVerdict,
  SpaceGrant,
  SpaceReply,
  UsageReply,
  VerdictsReply,
} from './messages.ts';

/** Bodies as the agent gets them, without the length before them. Each throws FormatProblem MALFORMED for anything else than documented. */

export function parseHelloReply(body: Buffer): HelloReply {
  const value = fields(body, HELLO_KEYS);
  return {
    version: asCount(value['version'], 'version'),
    program: asText(value['program'], 'program'),
    account: asText(value['account'], 'account'),
    role: asChoice(value['role'], ['backup', 'restore'], 'role'),
    mayRead: asFlag(value['mayRead'], 'mayRead'),
    identity: asText(value['identity'], 'identity'),
    nowMs: asCount(value['nowMs'], 'nowMs'),
    maxPathBytes: asCount(value['maxPathBytes'], 'maxPathBytes'),
    agentConfig: orNull(value['agentConfig'], (text) => asText(text, 'agentConfig')),
    frozen: asFreeze(value['frozen']),
  };
}

export function parseListReply(body: Buffer): ListReply {
  const value = fields(body, ['runs', 'latest', 'more']);
  const runs = asArray(value['runs'], 'runs');
  if (runs.length > MAX_LISTED_RUNS) throw new FormatProblem('MALFORMED', 'too many runs');
  return {
    runs: runs.map(asListedRun),
    latest: orNull(value['latest'], (run) => asRun(run, 'latest')),
    more: asFlag(value['more'], 'more'),
  };
}

/** Paths become byte text, which JSON can carry. */
export function encodeBeginReply(reply: BeginReply): Buffer {
  const hurt = reply.hurt.map(({ run, path }) => ({ run, path: toByteText(path) }));
  return encodeBody({ ...reply, hurt });
}

/** @throws FormatProblem HOSTILE, too, for a path that leaves its place */
export function parseBeginReply(body: Buffer): BeginReply {
  const value = fields(body, ['run', 'token', 'carried', 'parent', 'hurt']);
  return {
    run: asRun(value['run'], 'run'),
    token: asToken(value['token'], 'token'),
    carried: asArray(value['carried'], 'carried').map((token) => asToken(token, 'a carried token')),
    parent: orNull(value['parent'], asParent),
    hurt: asArray(value['hurt'], 'hurt').map(asHurtFile),
  };
}

export function parsePublishReply(body: Buffer): PublishReply {
  const value = fields(body, ['run', 'receivedAtMs', 'manifestSha256', 'manifestSizeBytes', 'frozen']);
  return {
    run: asRun(value['run'], 'run'),
    receivedAtMs: asCount(value['receivedAtMs'], 'receivedAtMs'),
    manifestSha256: asDigest(value['manifestSha256'], 'manifestSha256'),
    manifestSizeBytes: asCount(value['manifestSizeBytes'], 'manifestSizeBytes'),
    frozen: asFreeze(value['frozen']),
  };
}

export function parseSpaceReply(body: Buffer): SpaceReply {
  const value = fields(body, SPACE_KEYS);
  const bytes = (name: string) => orNull(value[name], (count) => asCount(count, name));
  return {
    totalBytes: bytes('totalBytes'),
    freeBytes: bytes('freeBytes'),
    freeInodes: bytes('freeInodes'),
    limitBytes: bytes('limitBytes'),
    usedBytes: bytes('usedBytes'),
    requestedBytes: bytes('requestedBytes'),
  };
}

export function parseVerdictsReply(body: Buffer): VerdictsReply {
  const value = fields(body, ['runs', 'hurtFoundAtMs', 'more']);
  const runs = asArray(value['runs'], 'runs');
  if (runs.length > MAX_JUDGED_RUNS) throw new FormatProblem('MALFORMED', 'too many runs');
  return {
    runs: runs.map(asRunVerdict),
    hurtFoundAtMs: orNull(value['hurtFoundAtMs'], (time) => asCount(time, 'hurtFoundAtMs')),
    more: asFlag(value['more'], 'more'),
  };
}

export function parseUsageReply(body: Buffer): UsageReply {
  const value = fields(body, ['runs', 'together']);
  return {
    runs: asArray(value['runs'], 'runs').map((item) => {
      const run = known(item, ['run', 'freesBytes'], 'a run');
      return { run: asRun(run['run'], 'run'), freesBytes: asCount(run['freesBytes'], 'freesBytes') };
    }),
    together: asCount(value['together'], 'together'),
  };
}

export function parseSpaceGrant(body: Buffer): SpaceGrant {
  const value = fields(body, ['grantedBytes', 'limitBytes']);
  return {
    grantedBytes: asCount(value['grantedBytes'], 'grantedBytes'),
    limitBytes: orNull(value['limitBytes'], (bytes) => asCount(bytes, 'limitBytes')),
  };
}

/** For `abandon` and `clean-up`: `{}`. */
export function parseEmptyReply(body: Buffer): void {
  fields(body, []);
}

const HELLO_KEYS = [
  'version',
  'program',
  'account',
  'role',
  'mayRead',
  'identity',
  'nowMs',
  'maxPathBytes',
  'agentConfig',
  'frozen',
];
const SPACE_KEYS = ['totalBytes', 'freeBytes', 'freeInodes', 'limitBytes', 'usedBytes', 'requestedBytes'];

function fields(body: Buffer, keys: readonly string[]): Record<string, unknown> {
  return known(decodeBody(body), keys, 'the reply');
}

function known(value: unknown, keys: readonly string[], name: string): Record<string, unknown> {
  const object = asObject(value, name);
  refuseUnknownKeys(object, new Set(keys));
  return object;
}

function asFreeze(value: unknown): Freeze | null {
  return orNull(value, () => {
    const freeze = known(value, ['reason', 'sinceRun'], 'frozen');
    return {
      reason: asText(freeze['reason'], 'frozen.reason'),
      sinceRun: asRun(freeze['sinceRun'], 'frozen.sinceRun'),
    };
  });
}

function asRunVerdict(value: unknown): RunVerdict {
  const keys = ['run', 'keeps', 'reasons', 'hurtFiles', 'isManifestHurt', 'figures'];
  const verdict = known(value, keys, 'a run');
  return {
    run: asRun(verdict['run'], 'run'),
    keeps: orNull(verdict['keeps'], (keeps) => asFlag(keeps, 'keeps')),
    reasons: asArray(verdict['reasons'], 'reasons').map((reason) => asText(reason, 'a reason')),
    hurtFiles: asCount(verdict['hurtFiles'], 'hurtFiles'),
    isManifestHurt: asFlag(verdict['isManifestHurt'], 'isManifestHurt'),
    figures: orNull(verdict['figures'], asReceivedFigures),
  };
}

const FIGURES = ['startedAtMs', 'finishedAtMs', 'files', 'sourceBytes', 'addedBytes'] as const;

function asReceivedFigures(value: unknown): ReceivedFigures {
  const figures = known(value, ['status', 'receivedAtMs', ...FIGURES], 'figures');
  const count = (name: (typeof FIGURES)[number]): number => asCount(figures[name], name);
  return {
    status: asChoice(figures['status'], ['complete', 'partial'], 'status'),
    receivedAtMs: orNull(figures['receivedAtMs'], (time) => asCount(time, 'receivedAtMs')),
    startedAtMs: count('startedAtMs'),
    finishedAtMs: count('finishedAtMs'),
    files: count('files'),
    sourceBytes: count('sourceBytes'),
    addedBytes: count('addedBytes'),
  };
}

function asListedRun(value: unknown): ListedRun {
  const listed = known(value, ['run', 'state', 'manifestSizeBytes', 'receipt'], 'a run');
  return {
    run: asRun(listed['run'], 'run'),
    state: asChoice(listed['state'], ['complete', 'incomplete'], 'state'),
    manifestSizeBytes: orNull(listed['manifestSizeBytes'], (bytes) => asCount(bytes, 'manifestSizeBytes')),
    receipt: orNull(listed['receipt'], (receipt) => asObject(receipt, 'receipt')),
  };
}

function asParent(value: unknown): NonNullable<BeginReply['parent']> {
  const parent = known(value, ['run', 'manifestSha256'], 'parent');
  return {
    run: asRun(parent['run'], 'parent.run'),
    manifestSha256: asDigest(parent['manifestSha256'], 'parent.manifestSha256'),
  };
}

function asHurtFile(value: unknown): HurtFile {
  const hurt = known(value, ['run', 'path'], 'a hurt file');
  const path = decodeByteText(hurt['path']);
  const reason = checkPath(path);
  if (reason !== undefined) throw new FormatProblem('HOSTILE', reason);
  return { run: asRun(hurt['run'], 'run'), path };
}
