import type { SourceRules } from '../../ports/source-tree.ts';
import { showPath } from '../../source/show-path.ts';
import { AS_MOUNTED, AT_FDCWD, cString, errnoName } from '@bakker/linux';
import { statAt, type FileStat } from './file-stat.ts';
import { FilesystemTable } from './filesystem-table.ts';
import type { SourceView } from './source-view.ts';
import { suspicious } from './suspicious.ts';

/** The file systems of a scan, and where each source was when it began. */
export interface Surveyed {
  readonly filesystems: FilesystemTable;
  readonly sources: readonly { readonly path: Buffer; readonly device: number }[];
}

/**
 * Looks at every source before a scan.
 *
 * @throws AgentError SOURCE_SUSPICIOUS if one is missing, is no folder, file or symlink, lies behind a symlink, or shows
 * nothing but the kernel's own state
 */
export function surveySources(sources: readonly SourceRules[], view: SourceView): Surveyed {
  for (const { path } of sources) checkSource(path, view);
  const table = new FilesystemTable(
    sources.map(({ path }) => path),
    view,
  );
  const found = sources.map(({ path }) => ({ path, device: look(path, view).device }));
  for (const { path, device } of found) {
    if (table.isPseudo(device)) {
      throw suspicious(path, 'shows the state of the kernel, which is no data', {
        hint: 'take it off the sources',
      });
    }
  }
  return { filesystems: table, sources: found };
}

/** @throws AgentError SOURCE_SUSPICIOUS if a source is gone since, or another file system is in its place */
export function confirmSources({ sources }: Surveyed, view: SourceView): void {
  for (const { path, device } of sources) {
    checkSource(path, view);
    if (look(path, view).device === device) continue;
    throw suspicious(path, 'is not on the file system any more that it was on when the run began', {
      hint: 'see that it is mounted, then run the backup again',
    });
  }
}

const SLASH = 0x2f;

function checkSource(path: Buffer, view: SourceView): void {
  for (let at = path.indexOf(SLASH, 1); at > 0; at = path.indexOf(SLASH, at + 1)) {
    const above = path.subarray(0, at);
    if (look(above, view).type !== 'directory') {
      throw suspicious(path, `lies behind ${showPath(above)}, which is no folder`, {
        hint: 'name its real path',
      });
    }
  }
  const { type } = look(path, view);
  if (type !== 'directory' && type !== 'file' && type !== 'symlink') {
    throw suspicious(path, `is a ${type}`, {
      hint: 'a source is a folder or a file; back up the folder it is in',
    });
  }
}

function look(path: Buffer, view: SourceView): FileStat {
  const stat = statAt(AT_FDCWD, cString(view.at(path)), AS_MOUNTED);
  if (typeof stat !== 'number') return stat;
  const code = errnoName(stat);
  throw code === 'ENOENT'
    ? suspicious(path, 'is not there', {
        hint: 'see that its name is right and that its file system is mounted',
      })
    : suspicious(path, `can't be looked at (${code})`, {
        hint: 'see that it is mounted, and that bakker may read it',
      });
}
