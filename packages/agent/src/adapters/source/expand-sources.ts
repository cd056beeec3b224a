import { lstat, lstatSync, readdir, readlinkSync, stat, type Dirent, type Stats } from 'node:fs';
import type * as nodeFs from 'node:fs';
import fastGlob from 'fast-glob';
import type { SourceSettings } from '../../config/config.ts';
import type { SourceRules } from '../../ports/source-tree.ts';
import { hasCode } from '@bakker/linux';
import type { SourceView } from './source-view.ts';
import { suspicious } from './suspicious.ts';

/**
 * Finds what the configured paths and globs mean now. A path that is there as it is written is no glob. A path that
 * leads through symlinks, or is one itself, is followed: each link is a source of its own, kept as a link, beside what
 * the path leads to. What a glob finds is kept as it is found, a symlink as a symlink.
 *
 * @param globalExcludes - for every source, before its own
 * @throws AgentError SOURCE_SUSPICIOUS if a path is not there, or a glob finds nothing
 */
export async function expandSources(
  settings: readonly SourceSettings[],
  globalExcludes: readonly string[],
  view: SourceView,
): Promise<SourceRules[]> {
  const found: SourceRules[] = [];
  for (const setting of settings) {
    const rules = {
      excludes: [...globalExcludes, ...setting.excludes],
      oneFilesystem: setting.oneFilesystem,
      honourMarkers: setting.honourMarkers,
    };
    const written = asLatin1(Buffer.from(setting.path));
    const paths = isThere(written, view)
      ? placesOf(written, { followsLast: true, view })
      : (await globbed(written, view)).flatMap((path) => placesOf(path, { followsLast: false, view }));
    for (const path of paths) found.push({ ...rules, path: asBytes(path) });
  }
  return found;
}

/** As Linux counts them (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The real path, and every symlink on the way to it, each by its own real path. Paths are latin1: one character a byte,
 * so that names that are not UTF-8 survive.
 */
function placesOf(path: string, { followsLast, view }: { followsLast: boolean; view: SourceView }): string[] {
  const links: string[] = [];
  const pending = path.split('/');
  let real: string[] = [];
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      real.pop();
      continue;
    }
    const place = `/${[...real, name].join('/')}`;
    const isLast = links.length === 0 && pending.every((rest) => rest === '');
    if ((isLast && !followsLast) || !isSymlink(place, { path, view })) {
      real.push(name);
      continue;
    }
    if (links.push(place) > MAX_LINKS) throw missing(path, 'leads round in a circle of symlinks');
    const target = readlinkSync(view.at(asBytes(place)), 'latin1');
    if (target.startsWith('/')) real = [];
    pending.unshift(...target.split('/'));
  }
  return [...links, `/${real.join('/')}`];
}

function isThere(path: string, view: SourceView): boolean {
  try {
    lstatSync(view.at(asBytes(path)));
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw missing(path, "can't be looked at", error);
  }
}

function isSymlink(place: string, { path, view }: { path: string; view: SourceView }): boolean {
  try {
    return lstatSync(view.at(asBytes(place))).isSymbolicLink();
  } catch (error) {
    throw missing(path, `leads to ${place}, which is not there`, error);
  }
}

async function globbed(pattern: string, view: SourceView): Promise<string[]> {
  if (!fastGlob.isDynamicPattern(pattern)) throw missing(pattern, 'is not there');
  let paths: string[];
  try {
    paths = await fastGlob(pattern, {
      dot: true,
      onlyFiles: false,
      followSymbolicLinks: false,
      objectMode: false,
      fs: latin1Fs(view),
    });
  } catch (error) {
    throw missing(pattern, 'could not be searched', error);
  }
  const fit = paths.filter((path) => isSourceType(path, view));
  if (fit.length === 0) throw missing(pattern, 'finds nothing');
  return fit.sort();
}

/** A glob passes over sockets, fifos and devices; a path that names one is refused by the survey. */
function isSourceType(path: string, view: SourceView): boolean {
  const found = lstatSync(view.at(asBytes(path)), { throwIfNoEntry: false });
  return found !== undefined && (found.isDirectory() || found.isFile() || found.isSymbolicLink());
}

/** The calls that fast-glob makes of `node:fs`, in the one form that it makes them in, with names as bytes. */
function latin1Fs(view: SourceView): Partial<typeof nodeFs> {
  const at = (path: string): Buffer => view.at(asBytes(path));
  return {
    lstat: (path: string, done: (error: Error | null, found: Stats) => void) => lstat(at(path), done),
    stat: (path: string, done: (error: Error | null, found: Stats) => void) => stat(at(path), done),
    readdir: (path: string, _options: object, done: (error: Error | null, found: Dirent[]) => void) =>
      readdir(at(path), { withFileTypes: true, encoding: 'latin1' }, done),
  } as unknown as Partial<typeof nodeFs>;
}

function missing(path: string, what: string, cause?: unknown): Error {
  const hint = 'see that its name is right and that its file system is mounted';
  return suspicious(asBytes(path), what, { hint, cause });
}

function asLatin1(bytes: Buffer): string {
  return bytes.toString('latin1');
}

function asBytes(latin1: string): Buffer {
  return Buffer.from(latin1, 'latin1');
}
