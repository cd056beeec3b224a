import { decodeBase64, decodeByteText, encodeByteText } from './byte-text.ts';
import type { ManifestHeader, SourceFilesystem } from './entry.ts';
import { FormatProblem } from './errors.ts';
import {
  asArray,
  asDigest,
  asObject,
  asRun,
  asText,
  asTimeMs,
  parseObject,
  refuseUnknownKeys,
  timeText,
} from './json-checks.ts';
import { checkPath } from './path-order.ts';
import { compareRunNames, parseRunName } from './run-name.ts';

const FORMAT = 'impl';
const VERSION = 1;
const SLASH = 0x2f;
const KEYS: ReadonlySet<string> = new Set([
  'bakker',
  'version',
  'run',
  'parent',
  'parentDigest',
  'host',
  'agent',
  'startedAt',
  'sources',
  'filesystems',
  'recipients',
  'nameKey',
]);
const RECIPIENT_ID = /^[0-9a-f]{16}$/;
const MOST_RECIPIENTS = 32;
const NAME_KEY_BYTES = 32;
const FILESYSTEM_KEYS: ReadonlySet<string> = new Set(['mountPoint', 'type']);

/**
 * The first line, without its newline.
 * @throws FormatProblem if a reader would refuse it
 */
export function encodeHeaderLine(header: ManifestHeader): string {
  const line = headerText(header);
  decodeHeaderLine(line);
  return line;
}

/**
 * @throws FormatProblem VERSION if the line is of another format or version, MALFORMED or HOSTILE if it is not as
 * `encodeHeaderLine` would write it
 */
export function decodeHeaderLine(line: string): ManifestHeader {
  const value = parseObject(line);
  if (value['bakker'] !== FORMAT) throw new FormatProblem('VERSION', 'this is no manifest of a run');
  if (value['version'] !== VERSION) {
    throw new FormatProblem(
      'VERSION',
      `version ${versionText(value['version'])} is unknown to this program, which reads ${VERSION}`,
    );
  }
  refuseUnknownKeys(value, KEYS);
  const header: ManifestHeader = {
    run: asRun(value['run'], 'run'),
    parent: value['parent'] === null ? null : asRun(value['parent'], 'parent'),
    parentDigest: value['parentDigest'] === null ? null : asDigest(value['parentDigest'], 'parentDigest'),
    host: asText(value['host'], 'host'),
    agent: asText(value['agent'], 'agent'),
    startedAtMs: asTimeMs(value['startedAt'], 'startedAt'),
    sources: asArray(value['sources'], 'sources').map((source) => asAbsolutePath(source, 'a source')),
    filesystems: asArray(value['filesystems'], 'filesystems').map(asFilesystem),
    ...(value['recipients'] === undefined ? {} : { recipients: asRecipients(value['recipients']) }),
    ...(value['nameKey'] === undefined ? {} : { nameKey: asNameKey(value['nameKey']) }),
  };
  checkParent(header);
  if (header.nameKey !== undefined && header.recipients === undefined) {
    throw new FormatProblem('MALFORMED', 'names are hidden, but the run is not sealed');
  }
  if (headerText(header) !== line) throw new FormatProblem('MALFORMED', 'the line is not in its one form');
  return header;
}

/** Nothing else is looked into: who lies in wait could have nested it deeper than any stack. */
function versionText(version: unknown): string {
  const isPlain = typeof version === 'number' || typeof version === 'string';
  return isPlain ? JSON.stringify(version).slice(0, 32) : 'of another kind';
}

function headerText(header: ManifestHeader): string {
  const filesystems = header.filesystems.map(
    ({ mountPoint, type }) => `{"mountPoint":${encodeByteText(mountPoint)},"type":${JSON.stringify(type)}}`,
  );
  return (
    `{"bakker":"${FORMAT}","version":${VERSION},"run":${JSON.stringify(header.run)}` +
    `,"parent":${JSON.stringify(header.parent)},"parentDigest":${JSON.stringify(header.parentDigest)}` +
    `,"host":${JSON.stringify(header.host)},"agent":${JSON.stringify(header.agent)}` +
    `,"startedAt":"${timeText(header.startedAtMs, 'startedAt')}"` +
    `,"sources":[${header.sources.map(encodeByteText).join(',')}],"filesystems":[${filesystems.join(',')}]` +
    (header.recipients === undefined ? '' : `,"recipients":${JSON.stringify(header.recipients)}`) +
    (header.nameKey === undefined ? '' : `,"nameKey":"${header.nameKey.toString('base64')}"`) +
    '}'
  );
}

function checkParent({ run, parent, parentDigest }: ManifestHeader): void {
  if ((parent === null) !== (parentDigest === null)) {
    throw new FormatProblem('MALFORMED', 'parent and parentDigest must be there together');
  }
  const runName = parseRunName(run);
  const parentName = parent === null ? undefined : parseRunName(parent);
  if (runName !== undefined && parentName !== undefined && compareRunNames(parentName, runName) >= 0) {
    throw new FormatProblem('MALFORMED', 'the parent is not older than the run');
  }
}

function asRecipients(value: unknown): readonly string[] {
  const ids = asArray(value, 'recipients').map((id) => asText(id, 'a recipient'));
  if (ids.length < 1 || ids.length > MOST_RECIPIENTS || !ids.every((id) => RECIPIENT_ID.test(id))) {
    throw new FormatProblem('MALFORMED', 'recipients are not 1 to 32 ids of keys');
  }
  if (ids.some((id, index) => index > 0 && id <= (ids[index - 1] ?? ''))) {
    throw new FormatProblem('MALFORMED', 'the recipients are not in order');
  }
  return ids;
}

function asNameKey(value: unknown): Buffer {
  const key = decodeBase64(value);
  if (key.length !== NAME_KEY_BYTES) throw new FormatProblem('MALFORMED', 'nameKey is not 32 bytes long');
  return key;
}

function asFilesystem(value: unknown): SourceFilesystem {
  const filesystem = asObject(value, 'a file system');
  refuseUnknownKeys(filesystem, FILESYSTEM_KEYS);
  return {
    mountPoint: asAbsolutePath(filesystem['mountPoint'], 'a mountPoint'),
    type: asText(filesystem['type'], 'the type of a file system'),
  };
}

function asAbsolutePath(value: unknown, name: string): Buffer {
  const path = decodeByteText(value);
  if (path[0] !== SLASH) throw new FormatProblem('MALFORMED', `${name} is not absolute`);
  const reason = path.length === 1 ? undefined : checkPath(path.subarray(1));
  if (reason !== undefined) throw new FormatProblem('HOSTILE', `${name}: ${reason}`);
  return path;
}
