/**
 * Where the sources are read: at their own paths, or below a folder in which frozen views of their file systems are mounted
 * as the file systems themselves are. Everything that is told of a source names its own path.
 */
export interface SourceView {
  /** Absolute, no slash at the end; `/` itself when the live files are read. */
  readonly root: Buffer;
  /** Where a source's absolute path is to be looked at. */
  at(path: Buffer): Buffer;
  /** The source's path for what is mounted at or below the root; undefined for what is no file system of the sources. */
  pathOf(place: Buffer): Buffer | undefined;
}

/** The files as they are now. */
export const LIVE_VIEW: SourceView = viewBelow(Buffer.from('/'));

/**
 * @param root - absolute, no slash at the end but for `/` itself
 * @param live - folders that are shown live by a mount of their own: the view's, not the machine's
 */
export function viewBelow(root: Buffer, live: readonly Buffer[] = []): SourceView {
  if (root.length === 1) return { root, at: (path) => path, pathOf: (place) => place };
  return {
    root,
    at: (path) => (path.length === 1 ? root : Buffer.concat([root, path])),
    pathOf: (place) => {
      if (place.equals(root)) return SLASH;
      const isBelow = place[root.length] === SLASH[0] && place.subarray(0, root.length).equals(root);
      const path = place.subarray(root.length);
      return isBelow && !live.some((folder) => folder.equals(path)) ? path : undefined;
    },
  };
}

const SLASH = Buffer.from('/');
