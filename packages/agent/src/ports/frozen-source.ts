import type { ServiceSettings } from '../config/service-settings.ts';
import type { Clock } from './clock.ts';
import type { OpenedServices } from './services.ts';
import type { SourceTree } from './source-tree.ts';
import type { UndoJournal, Undoers } from './undo-journal.ts';
import type { Volumes } from './volumes.ts';

/** What a run needs to let services stand still and to freeze file systems. Loaded only by a run that does. */
export interface Freezing {
  /** Whether an earlier run may have left something to undo. Quick, and loads nothing. */
  mayHaveLeft(): Promise<boolean>;
  /** To see what would be frozen. */
  volumes(): Promise<Volumes>;
  /** To be used under the run lock. @throws AgentError STATE_UNUSABLE */
  open(): Promise<FreezeTools>;
}

export interface FreezeTools {
  readonly journal: UndoJournal;
  readonly undoers: Undoers;
  readonly volumes: Volumes;
  /** Measures windows: never jumps. */
  readonly stopwatch: Clock;
  /** Enters nothing yet; dumps that no service makes any more are removed. */
  openServices(settings: readonly ServiceSettings[]): OpenedServices;
  /** The files below `root` by their own names. @param live - folders of them that are shown live */
  openView(root: Buffer, live: readonly Buffer[]): ViewedTree;
}

/** Holds its view until it is closed. */
export interface ViewedTree extends SourceTree {
  close(): void;
}
