import type { Undoer, Undoers, UndoStep } from '../../ports/undo-journal.ts';
import { removeBtrfsSnapshot } from './btrfs.ts';
import { untilIdle } from './busy.ts';
import { commandsFrom, type RunCommand } from './commands.ts';
import { removeLvmSnapshot } from './lvm.ts';
import { removeViewFolder, unmountBelow } from './view-folder.ts';
import { destroyZfsSnapshot } from './zfs.ts';

/** What undoes the steps of a freezing. Each is idempotent. */
export function volumesUndoers(command: RunCommand = commandsFrom()): Undoers {
  /** A command that outlived its bakker may still make what is to be undone. */
  const idle =
    (undo: Undoer): Undoer =>
    async (step, context) => {
      await untilIdle(field(step, 'busyFile'), context.signal);
      await undo(step, context);
    };
  return {
    'unmount-view': async (step, { signal }) => unmountBelow(field(step, 'folder'), signal),
    'remove-view': async (step, { signal }) => removeViewFolder(field(step, 'folder'), signal),
    'remove-lvm-snapshot': idle(async (step) =>
      removeLvmSnapshot(
        { group: field(step, 'group'), name: field(step, 'name'), origin: field(step, 'origin') },
        command,
      ),
    ),
    'remove-btrfs-snapshot': idle(async (step) =>
      removeBtrfsSnapshot(
        { mountPoint: field(step, 'mountPoint'), name: field(step, 'name'), uuid: field(step, 'uuid') },
        command,
      ),
    ),
    'destroy-zfs-snapshot': idle(async (step) => destroyZfsSnapshot(field(step, 'name'), command)),
  };
}

function field(step: UndoStep, name: string): string {
  const value = step[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new Error(`the step ${step.kind} has no ${name}`);
}
