import type { CommandContext } from './command.ts';

export const EMPTIED_HINT =
  'look whether its disk is mounted there, and whether it was put back to an earlier state';

/** Why an account without any run looks like a loss: undefined if nothing of this server ever went there. */
export async function explainEmptied(context: CommandContext, address: string): Promise<string | undefined> {
  const { missingLastRun } = await import('../backup/guards.ts');
  const last = await context.lastRuns();
  const missing = missingLastRun({ runs: [], address, last });
  return missing === undefined ? undefined : `${address} holds no run any more, and ${missing} went there`;
}
