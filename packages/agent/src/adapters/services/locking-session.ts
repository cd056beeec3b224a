import { AgentError } from '../../errors.ts';
import type { PreparedService } from '../../ports/services.ts';
import type { ChildOptions } from './child.ts';
import { HeldSession } from './held-session.ts';
import { newMark } from './strays.ts';
import { endSession } from './undoers.ts';

export interface LockingSession {
  /** The service's name. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly client: Pick<ChildOptions, 'argv' | 'user' | 'env' | 'descriptor'>;
  readonly standsStill: boolean;
  /** What leaving means, in words. */
  readonly what: string;
  readonly enterSql: string;
  readonly leaveSql: string;
  /** Given what `enterSql` printed. */
  onEntered?(lines: readonly string[]): void;
  /** Given what `leaveSql` printed, and the session, which is closed afterwards. */
  onLeft?(lines: readonly string[], session: HeldSession, context: { signal: AbortSignal }): Promise<void>;
  files?(): readonly string[];
  oneMoment?(): readonly string[];
}

/** A database whose state is held by one connection from entering to leaving. */
export function prepareSession(options: LockingSession): PreparedService {
  const { name, timeoutMs, client, what, enterSql, leaveSql } = options;
  const mark = newMark();
  const undo = { kind: 'end-session', what, mark, timeoutMs };
  let session: HeldSession | undefined;
  let isHeld = false;
  return {
    undo,
    standsStill: options.standsStill,
    enter: async ({ signal }) => {
      session = await HeldSession.open({ ...client, mark });
      const lines = await session.ask(enterSql, { signal });
      options.onEntered?.(lines);
      isHeld = true;
    },
    leave: async (context) => {
      const { wasHeld, held } = { wasHeld: isHeld, held: session };
      isHeld = false;
      session = undefined;
      try {
        if (wasHeld && held !== undefined) {
          const lines = await held.ask(leaveSql, context).catch((cause: unknown) => {
            throw lost(name, cause);
          });
          await options.onLeft?.(lines, held, context);
          await held.close(context);
        }
      } finally {
        await held?.kill();
        await endSession(undo, context);
      }
    },
    files: () => options.files?.() ?? [],
    oneMoment: () => [options.oneMoment?.() ?? []],
  };
}

/** The server may have dropped the lock at any time since: the snapshot proves nothing. */
function lost(name: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('QUIESCE_FAILED', `the connection that held ${name} was lost: ${why}`, {
    hint: "see the database's log; a server that was restarted or that ends idle connections does this",
    cause,
  });
}
