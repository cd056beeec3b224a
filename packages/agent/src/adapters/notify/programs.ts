import type { HookSettings, MailSettings } from '../../config/notify-settings.ts';
import type { HookInput, Sending } from '../../ports/notifier.ts';
import { start } from '../services/child.ts';
import { endStrays, newMark } from '../services/strays.ts';

/** For what a program started out of its own group. */
const END_STRAYS_MS = 2_000;

/** Runs a hook to its end, or to its time limit: then nothing of it goes on. */
export async function runHook(hook: HookSettings, input: HookInput, { signal }: Sending): Promise<void> {
  const { argv, user, timeoutMs } = hook;
  await feed({ argv, user, timeoutMs, env: input.env, stdin: input.stdin, signal });
}

/** Hands a message with its headers to the local mail system. */
export async function sendMail(settings: MailSettings, text: string, { signal }: Sending): Promise<void> {
  const { program, timeoutMs } = settings;
  // -i: a line with a dot alone is no end
  await feed({ argv: [program, '-t', '-i'], timeoutMs, stdin: text, signal });
}

interface Fed extends Sending {
  readonly argv: readonly string[];
  readonly user?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly stdin: string;
}

async function feed({ argv, user, env = {}, timeoutMs, stdin, signal }: Fed): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([deadline, signal]);
  const mark = newMark();
  try {
    const child = await start({ argv, user, env, mark, isPiped: true, signal: either });
    child.stdout?.on('error', () => undefined).resume();
    child.stdin?.end(stdin);
    try {
      await child.ended;
    } finally {
      // what it left running may hold them, and would keep this process from ending
      child.stdin?.destroy();
      child.stdout?.destroy();
    }
  } catch (error) {
    if (!either.aborted) throw error;
    await endStrays(mark, { signal: AbortSignal.timeout(END_STRAYS_MS) });
    throw new Error(`${argv[0] ?? ''} did not end within ${timeoutMs / 1000} s, and was killed`, {
      cause: error,
    });
  }
}
