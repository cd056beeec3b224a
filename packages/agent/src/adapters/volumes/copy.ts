import { isAtOrBelow } from '@bakker/impl-format';
import { closeSync, constants, lstatSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { errnoOf, reflink } from '@bakker/linux';
import type { SourceProblem, SourceRules } from '../../ports/source-tree.ts';
import { showPath } from '../../source/show-path.ts';
import { behind } from '../../volumes/mounted-volumes.ts';
import { COPY_FOLDER, CopyHome } from './copy-home.ts';
import { bringUpToDate } from './copy-tree.ts';
import type { Job, Provider, Snapshot, SourceVolume, TakeContext } from './provider.ts';

/** What is ours on a file system is nobody's source. */
const OUR_FOLDERS = [`/${COPY_FOLDER}/`, '/.bakker-snapshots/'];

/** A copy on the same file system that shares its blocks: XFS, and btrfs where it has no subvolume to freeze. */
export function reflinkProvider(): Provider {
  return copyProvider({
    name: 'reflink',
    by: 'reflink',
    look: ({ primary }) => {
      try {
        const canShare = tryReflink(primary.mountPoint);
        return { fits: canShare, why: `${primary.type} ${canShare ? 'can' : "can't"} share blocks` };
      } catch (error) {
        return { fits: false, why: `${showPath(primary.mountPoint)} can't be written to (${codeOf(error)})` };
      }
    },
  });
}

/** A copy that takes its own space, kept for the next run. */
export function mirrorProvider(): Provider {
  return copyProvider({
    name: 'mirror',
    by: 'copy',
    look: ({ primary }) => {
      try {
        openUnnamed(primary.mountPoint)[Symbol.dispose]();
        return { fits: true, why: 'copied as a whole: the sources take twice their space' };
      } catch (error) {
        return { fits: false, why: `${showPath(primary.mountPoint)} can't be written to (${codeOf(error)})` };
      }
    },
  });
}

interface CopyKind {
  readonly name: 'reflink' | 'mirror';
  readonly by: 'reflink' | 'copy';
  readonly look: (volume: SourceVolume) => { fits: boolean; why: string };
}

function copyProvider({ name, by, look }: CopyKind): Provider {
  const homes = new Map<Job, CopyHome>();
  const pass = async (
    job: Job,
    home: CopyHome,
    names: { before: string; after: string; context: TakeContext },
  ) =>
    bringUpToDate({
      home,
      by,
      mountPoint: job.volume.primary.mountPoint,
      sources: sourcesOn(job.volume),
      stateBefore: home.at(names.before),
      stateAfter: home.at(names.after),
      signal: names.context.signal,
    });
  return {
    name,
    look: async (volume) => look(volume),
    review: async () => [],
    prepare: async (jobs, context) => {
      const opened = new DisposableStack();
      try {
        for (const job of jobs) {
          const home = opened.use(new CopyHome(job.volume.primary.mountPoint));
          homes.set(job, home);
          // Nearly all is done while services run; what changes meanwhile is done again.
          await pass(job, home, { before: 'state', after: 'state.first', context });
        }
        return opened;
      } catch (error) {
        opened.dispose();
        throw error;
      }
    },
    take: async (jobs, context) => {
      const snapshots: Snapshot[] = [];
      for (const job of jobs) {
        const home = homes.get(job);
        if (home === undefined) throw new Error('a copy that was not prepared');
        const outcome = await pass(job, home, { before: 'state.first', after: 'state.second', context });
        snapshots.push(copied(job, home, outcome));
      }
      return snapshots;
    },
  };
}

function copied(
  job: Job,
  home: CopyHome,
  { problems, problemCount }: { problems: readonly SourceProblem[]; problemCount: number },
): Snapshot {
  const { primary } = job.volume;
  const more = problemCount - problems.length;
  return {
    job,
    shownRoot: primary.root,
    mount: async (at) => {
      home.settle(home.at('state.second'));
      home.clear();
      home.show(at);
    },
    makeMountPoint: (path) => {
      mkdirSync(Buffer.concat([home.at('tree'), path]), { recursive: true, mode: 0o755 });
    },
    check: async () => undefined,
    warnings: more > 0 ? [`${more} more paths of ${showPath(primary.mountPoint)} could not be copied`] : [],
    problems,
  };
}

/** The sources as paths of the primary mount, each staying on it. */
export function sourcesOn({ primary, mounts, sources }: SourceVolume): SourceRules[] {
  const found: SourceRules[] = [];
  for (const source of sources) {
    const mount = mounts
      .toSorted((a, b) => b.mountPoint.length - a.mountPoint.length)
      .find(({ mountPoint }) => isAtOrBelow(source.path, mountPoint));
    const rules = { honourMarkers: source.honourMarkers, oneFilesystem: true };
    if (mount === undefined) {
      // All of a file system below the source. Its patterns are relative to the source, so they can't be used here.
      found.push({ ...rules, path: primary.mountPoint, excludes: OUR_FOLDERS });
      continue;
    }
    const inside = Buffer.concat([behind(mount.root, primary.root), behind(source.path, mount.mountPoint)]);
    const base = primary.mountPoint.length === 1 ? Buffer.alloc(0) : primary.mountPoint;
    const path = Buffer.concat([base, inside]);
    const isRoot = inside.length === 0;
    found.push({
      ...rules,
      path: path.length === 0 ? primary.mountPoint : path,
      excludes: isRoot ? [...source.excludes, ...OUR_FOLDERS] : source.excludes,
    });
  }
  return found;
}

/** What an earlier run left where nothing is copied any more. */
export function leftCopy(mountPoint: Buffer): Buffer | undefined {
  const base = mountPoint.length === 1 ? Buffer.alloc(0) : mountPoint;
  const folder = Buffer.concat([base, Buffer.from(`/${COPY_FOLDER}`)]);
  try {
    return lstatSync(folder, { throwIfNoEntry: false }) === undefined ? undefined : folder;
  } catch {
    return undefined;
  }
}

function tryReflink(folder: Buffer): boolean {
  using from = openUnnamed(folder);
  using to = openUnnamed(folder);
  writeSync(from.fd, Buffer.alloc(4096, 1));
  return reflink(from.fd, to.fd);
}

/** A file without a name: gone when it is closed. */
function openUnnamed(folder: Buffer): { readonly fd: number } & Disposable {
  const fd = openSync(folder, constants.O_RDWR | O_TMPFILE | constants.O_DIRECTORY, 0o600);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

const O_TMPFILE = 0o20000000;

function codeOf(error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  return code;
}
