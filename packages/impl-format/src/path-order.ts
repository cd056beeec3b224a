const SLASH = 0x2f;
const DOT = 0x2e;
const LONGEST_COMPONENT_BYTES = 255;
const LONGEST_PATH_BYTES = 4096;

/**
 * The one order of everything: component by component, each by its bytes. So `/` is below every other byte, and a
 * folder comes directly before all that is in it. Negative when `a` comes first, 0 only for equal bytes.
 */
export function comparePaths(a: Buffer, b: Buffer): number {
  const shorter = a.length < b.length ? a.length : b.length;
  for (let i = 0; i < shorter; i++) {
    const byteA = a[i]!;
    const byteB = b[i]!;
    if (byteA === byteB) continue;
    if (byteA === SLASH) return -1;
    if (byteB === SLASH) return 1;
    return byteA - byteB;
  }
  return a.length - b.length;
}

/** Why `path` can't be an entry's path, in words; undefined when it can. */
export function checkPath(path: Buffer): string | undefined {
  const length = path.length;
  if (length === 0) return 'the path is empty';
  if (length > LONGEST_PATH_BYTES) return `the path is longer than ${LONGEST_PATH_BYTES} bytes`;
  if (path[0] === SLASH) return 'the path is absolute';
  let start = 0;
  for (let i = 0; i <= length; i++) {
    const byte = i < length ? path[i]! : SLASH;
    if (byte === 0) return 'the path has a NUL byte';
    if (byte !== SLASH) continue;
    const size = i - start;
    if (size === 0) return i === length ? 'the path ends with a slash' : 'the path has an empty component';
    if (size > LONGEST_COMPONENT_BYTES) {
      return `a component of the path is longer than ${LONGEST_COMPONENT_BYTES} bytes`;
    }
    if (size <= 2 && path[start] === DOT && (size === 1 || path[start + 1] === DOT)) {
      return `a component of the path is "${size === 1 ? '.' : '..'}"`;
    }
    start = i + 1;
  }
  return undefined;
}

/** Whether `path` lies below `folder`, at any depth. */
export function isBelow(path: Buffer, folder: Buffer): boolean {
  return path[folder.length] === SLASH && path.compare(folder, 0, folder.length, 0, folder.length) === 0;
}

/** Whether `path` is `folder` or lies below it. All lies below the root, which is empty or a slash alone. */
export function isAtOrBelow(path: Buffer, folder: Buffer): boolean {
  if (folder.length === 0 || (folder.length === 1 && folder[0] === SLASH)) return true;
  return path.equals(folder) || isBelow(path, folder);
}

/** The folder that `path` lies in; empty at the top. Shares the bytes of `path`. */
export function parentPath(path: Buffer): Buffer {
  const slash = path.lastIndexOf(SLASH);
  return path.subarray(0, slash === -1 ? 0 : slash);
}

/** The last component. Shares the bytes of `path`. */
export function baseName(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}
