import type { CommandSettings } from '../../config/service-settings.ts';
import type { PreparedService } from '../../ports/services.ts';
import { run } from './child.ts';
import { newMark } from './strays.ts';
import { endSession, leaveByCommand } from './undoers.ts';

/** A pair of commands: one enters, one leaves. */
export interface CommandPair extends CommandSettings {
  /** The service's name. */
  readonly name: string;
  /** What leaving means, in words. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly cwd?: string | undefined;
}

export function prepareCommand({
  name,
  enter,
  leave,
  user,
  cwd,
  what,
  timeoutMs,
}: CommandPair): PreparedService {
  const mark = newMark();
  // without a command that leaves, what entering started must end all the same, also if bakker dies
  const undo =
    leave === undefined
      ? { kind: 'end-session', what: `end what ${name} started`, timeoutMs, mark }
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
    standsStill: leave !== undefined,
    enter: async ({ signal }) => {
      await run({ argv: enter, user, cwd, mark, signal });
    },
    leave: (context) => (leave === undefined ? endSession : leaveByCommand)(undo, context),
    files: () => [],
  };
}
