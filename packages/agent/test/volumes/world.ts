import fs from 'node:fs';
import { parseMounts } from '@bakker/linux';
import { SqliteUndoJournal } from '../../src/adapters/undo/sqlite-undo-journal.ts';
import { commandsFrom, type RunCommand } from '../../src/adapters/volumes/commands.ts';
import { openVolumes } from '../../src/adapters/volumes/open-volumes.ts';
import { volumesUndoers } from '../../src/adapters/volumes/undoers.ts';
import type { ProviderChoice, SnapshotSettings } from '../../src/config/snapshot-settings.ts';
import type { SourceToFreeze, Volumes } from '../../src/ports/volumes.ts';
import { recover } from '../../src/undo/recover.ts';
import { makeTempFolder } from '../../../../test/harness/temp-folder.ts';

/** Volumes, a journal and a private folder for views, as one run has them. */
export interface World extends AsyncDisposable {
  readonly folder: string;
  readonly viewsDir: string;
  readonly journal: SqliteUndoJournal;
  readonly volumes: Volumes;
  /** Undoes what is recorded, as `bakker recover` does. @returns what is left to undo */
  recover(): Promise<readonly string[]>;
  /** Mounts at and below the folder of views. */
  mounts(): string[];
}

export async function openWorld(options: { command?: RunCommand; stateDir?: string } = {}): Promise<World> {
  const temp = await makeTempFolder('volumes');
  const stateDir = options.stateDir ?? `${temp.path}/state`;
  fs.mkdirSync(stateDir, { recursive: true });
  const viewsDir = `${temp.path}/views`;
  const command = options.command ?? commandsFrom();
  const journal = new SqliteUndoJournal(stateDir, { nowMs: () => Date.now() });
  return {
    folder: temp.path,
    viewsDir,
    journal,
    volumes: openVolumes({ viewsDir, command }),
    recover: async () => {
      await recover(journal, volumesUndoers(command));
      return journal.pending().map(({ step }) => step.kind);
    },
    mounts: () => mountsBelow(viewsDir),
    async [Symbol.asyncDispose]() {
      journal[Symbol.dispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

export function mountsBelow(folder: string): string[] {
  return parseMounts(fs.readFileSync('/proc/self/mountinfo'))
    .map(({ mountPoint }) => mountPoint.toString())
    .filter((at) => at === folder || at.startsWith(`${folder}/`));
}

export function source(
  path: string,
  options: Partial<SnapshotSettings> & Partial<Pick<SourceToFreeze, 'oneFilesystem' | 'excludes'>> = {},
): SourceToFreeze {
  const { provider = 'auto', lvmSize = { share: 0.5 }, oneFilesystem = true, excludes = [] } = options;
  return {
    path: Buffer.from(path),
    excludes,
    oneFilesystem,
    honourMarkers: true,
    snapshot: { provider, lvmSize },
  };
}

export type { ProviderChoice };
