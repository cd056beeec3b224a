import type { RunName } from '@bakker/impl-format';
import type { StateFolder } from '../ports/state-folder.ts';

/**
 * Notes a run that somebody lets lie open in an account that was sealed: once new runs are sealed again, this one is still known to
 * be this server's own. Before it is published, as whoever dies then does not come to it. Runs that are gone are forgotten.
 */
export async function rememberClearRun(
  run: RunName,
  { state, accountId, complete }: { state: StateFolder; accountId: string; complete: readonly RunName[] },
): Promise<void> {
  const memory = await state.sealedAccount(accountId);
  if (memory?.since === undefined || memory.clear.includes(run)) return;
  const clear = [...memory.clear.filter((earlier) => complete.includes(earlier)), run];
  await state.saveSealedAccount(accountId, { ...memory, clear });
}
