import { LATEST, PRIVATE_FOLDER, RECEIPTS, classifyName } from '@bakker/impl-format/storage';
import { StorageError } from '../errors.ts';

const SLASH = 0x2f;
/** Twice PATH_MAX: with detours. */
const LONGEST_PATH_BYTES = 8192;

/**
 * The namespace that a session reads: runs, manifests and `latest` at the top, and of `.bakker` only the receipts. All
 * else, whatever lies there, does not exist. Pure: no path ever leaves the account, because `..` is resolved here and
 * symlinks are never followed.
 */
export interface VisiblePath {
  /** Components; none for the account itself. */
  readonly components: readonly Buffer[];
}

/**
 * Takes `.`, `..` and empty components out, as seen from `/`; above it there is nothing.
 *
 * @throws StorageError FAILED for a path that no kernel would take
 */
export function normalise(path: Buffer): VisiblePath {
  if (path.length > LONGEST_PATH_BYTES) throw new StorageError('FAILED', 'the path is too long');
  const components: Buffer[] = [];
  let start = 0;
  while (start <= path.length) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    const component = path.subarray(start, end);
    const text = component.length <= 2 ? component.toString('latin1') : '';
    if (text === '..') components.pop();
    else if (component.length > 0 && text !== '.') components.push(component);
    start = end + 1;
  }
  return { components };
}

/** Absolute, as REALPATH answers. */
export function absolute({ components }: VisiblePath): Buffer {
  return Buffer.concat([Buffer.of(SLASH), join(components)]);
}

/** Below the account, without a slash before. */
export function join(components: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  for (const [index, component] of components.entries()) {
    if (index > 0) parts.push(SEPARATOR);
    parts.push(component);
  }
  return Buffer.concat(parts);
}

/** Whether there may be anything at the path for a session to read. */
export function isVisible({ components }: VisiblePath): boolean {
  const [first, second] = components;
  if (first === undefined) return true;
  const { kind } = classifyName(first);
  if (kind === 'private') return second === undefined || second.toString('latin1') === RECEIPTS_NAME;
  return kind !== 'foreign';
}

/** Whether a listing of `folder` shows `name`. */
export function isListed(folder: VisiblePath, name: Buffer): boolean {
  if (folder.components.length > 1) return true;
  if (folder.components.length === 0 && classifyName(name).kind === 'private') return false;
  return isVisible({ components: [...folder.components, name] });
}

/** Whether the path starts with `latest`. */
export function startsWithLatest({ components }: VisiblePath): boolean {
  return components[0]?.toString('latin1') === LATEST;
}

const SEPARATOR = Buffer.of(SLASH);
const RECEIPTS_NAME = RECEIPTS.slice(PRIVATE_FOLDER.length + 1);
