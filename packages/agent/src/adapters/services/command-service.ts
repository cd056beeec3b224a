import type { CommandSettings } from '../../config/service-settings.ts';
import type { PreparedService } from '../../ports/services.ts';
import { run } from './child.ts';
import { endStrays, newMark } from './strays.ts';
import { leaveByCommand } from './undoers.ts';

/** A pair of commands: one enters, one leaves. */
export interface CommandPair extends CommandSettings {
  /** What leaving means, in words. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly cwd?: string | undefined;
}

export function prepareCommand({ enter, leave, user, cwd, what, timeoutMs }: CommandPair): PreparedService {
  const mark = newMark();
  const undo =
    leave === undefined
      ? undefined
      : {
          kind: 'leave-command',
          what,
          argv: leave,
          timeoutMs,
          mark,
          ...(user === undefined ? {} : { user }),
          ...(cwd === undefined ? {} : { cwd }),
        };
  return {
    undo,
    standsStill: undo !== undefined,
    enter: async ({ signal }) => {
      await run({ argv: enter, user, cwd, mark, signal });
    },
    leave: (context) => (undo === undefined ? endStrays(mark, context) : leaveByCommand(undo, context)),
    files: () => [],
  };
}
