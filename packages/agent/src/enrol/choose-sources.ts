import { AgentError } from '../errors.ts';
import type { Enrolment } from '../ports/enrolment.ts';
import type { Progress } from '../ports/progress.ts';
import type { EnrolRequest } from './enrol.ts';

/** Where a Linux server keeps what its packages do not bring back. */
const USUAL_SOURCES = ['/etc', '/home', '/opt', '/root', '/srv', '/usr/local', '/var'];

const GLOB = /[*?[{(!]/;

/**
 * The sources asked for, or else the usual ones that are there.
 *
 * @throws AgentError USAGE for a source that is not absolute, or that holds the account's own folder on its own disk
 */
export async function chooseSources(
  request: EnrolRequest,
  { enrolment, progress }: { enrolment: Enrolment; progress: Progress },
): Promise<string[]> {
  const folder = request.account.kind === 'local' ? request.account.folder : undefined;
  // a disk that is mounted below is not read with the source
  const holdsRuns = async (source: string): Promise<boolean> =>
    folder !== undefined && isWithin(folder, source) && (await enrolment.shareFilesystem(source, folder));
  if (request.sources.length > 0) {
    for (const source of request.sources) {
      if (!source.startsWith('/')) {
        throw new AgentError('USAGE', `--source ${source} is not an absolute path`, {
          hint: 'write it from / on: a timer runs in another folder',
        });
      }
      if (await holdsRuns(source)) {
        throw new AgentError('USAGE', `${source} holds ${folder}, where the runs go`, {
          hint: 'keep the runs outside of what is backed up, best on another disk',
        });
      }
      if (!GLOB.test(source) && !(await enrolment.isThere(source))) {
        progress.warning(`--source ${source} is not there: bakker backup refuses to run until it is`);
      }
    }
    return [...new Set(request.sources.map(withoutEnd))];
  }
  const sources: string[] = [];
  for (const source of await enrolment.existingFolders(USUAL_SOURCES)) {
    if (await holdsRuns(source))
      progress.warning(`${source} is left out of the sources: it holds ${folder}, where the runs go`);
    else sources.push(source);
  }
  if (sources.length === 0) {
    throw new AgentError('USAGE', 'none of the usual folders is there to be backed up', {
      hint: 'name what to back up with --source DIR',
    });
  }
  return sources;
}

function isWithin(path: string, folder: string): boolean {
  const base = withoutEnd(folder);
  return base === '/' || path === base || path.startsWith(`${base}/`);
}

/** As sources are written down: a shell that completes a name leaves a slash behind it. */
export function withoutEnd(path: string): string {
  return path.replace(/\/+$/, '') || '/';
}
