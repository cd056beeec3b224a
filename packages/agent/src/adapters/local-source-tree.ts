import { setImmediate as turn } from 'node:timers/promises';
import type { Entry } from '@bakker/impl-format';
import type { SourceSurvey, SourceTree } from '../ports/source-tree.ts';
import { openFolder, openFolderBeneath, openNameService } from '@bakker/linux';
import { expandSources } from './source/expand-sources.ts';
import { ContentPool } from './source/content-pool.ts';
import { openFile, readWhole, type ReadPorts } from './source/source-file.ts';
import { LIVE_VIEW, type SourceView } from './source/source-view.ts';
import { ThreadReader } from './source/small-file-reader.ts';
import { confirmSources, surveySources, type Surveyed } from './source/survey.ts';
import { TreeWalk } from './source/tree-walk.ts';
import { stages } from '../timings/stages.ts';

/** Names looked at before others get their turn: about five milliseconds. */
const SLICE_NAMES = 1024;

/**
 * The files of this machine, live or as a view shows them. Keeps one descriptor open until it is closed.
 * A view has to be unmounted some day: `close` lets go of it.
 */
export function openSourceTree(view: SourceView = LIVE_VIEW): SourceTree & { close(): void } {
  const root = openFolder(view.root);
  const names = openNameService();
  const pool = new ContentPool();
  let surveyed: Surveyed | undefined;
  const ports = (): ReadPorts => ({ root, filesystems: surveyed?.filesystems, names, pool });
  return {
    expand: (settings, excludes) => expandSources(settings, excludes, view),
    survey: async (plan) => {
      surveyed = surveySources(plan.sources, view);
      return { filesystems: surveyed.filesystems.filesystems };
    },
    scan: async function* (plan, survey, { signal, earlier }) {
      const { filesystems } = mustBeLast(surveyed, survey);
      using walk = new TreeWalk(plan, { filesystems, names, earlier, view });
      for (let isMore = true; isMore;) {
        signal.throwIfAborted();
        const batch: Entry[] = [];
        await earlier?.refill();
        isMore = stages.doing('scan', () => walk.fill(batch, SLICE_NAMES));
        earlier?.endSlice();
        if (batch.length > 0 || earlier !== undefined) yield batch;
        await turn();
      }
    },
    confirm: (survey) => {
      confirmSources(mustBeLast(surveyed, survey), view);
    },
    readWhole: (entry) => stages.doing('read', () => readWhole(entry, ports())),
    openReader: () => new ThreadReader({ root, pool, readAnew: (entry) => readWhole(entry, ports()) }),
    hasFolder: (path) => {
      try {
        openFolderBeneath(root, path)[Symbol.dispose]();
        return true;
      } catch {
        return false;
      }
    },
    openFile: (entry) => openFile(entry, ports()),
    close: () => {
      root[Symbol.dispose]();
    },
  };
}

function mustBeLast(surveyed: Surveyed | undefined, { filesystems }: SourceSurvey): Surveyed {
  if (surveyed?.filesystems.filesystems === filesystems) return surveyed;
  throw new Error('this is not the survey that was made last');
}
