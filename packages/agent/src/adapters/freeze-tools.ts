import path from 'node:path';
import type { FreezeTools } from '../ports/frozen-source.ts';
import { openSourceTree } from './local-source-tree.ts';
import { openServices } from './services/open-services.ts';
import { viewBelow } from './source/source-view.ts';
import type { Undoing } from './undo/open-undoing.ts';
import { openVolumes } from './volumes/open-volumes.ts';

/** The services and file systems of this machine. */
export function openFreezeTools({ journal, undoers }: Undoing, stateDir: string): FreezeTools {
  return {
    journal,
    undoers,
    volumes: openVolumes(),
    stopwatch: { nowMs: () => performance.now() },
    openServices: (settings) => openServices(settings, path.resolve(stateDir)),
    openView: (root, live) => openSourceTree(viewBelow(root, live)),
  };
}
