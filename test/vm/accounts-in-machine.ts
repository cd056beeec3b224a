import type { Machine } from './machine.ts';

/** What `bakker-storage accounts --json` says of an account, as far as tests ask. */
export interface Overview {
  readonly account: string;
  readonly backend: string;
  readonly runs: number;
  readonly incomplete: number;
  readonly lastRun: string | null;
  readonly limitBytes: number;
  readonly freeBytes: number;
  readonly states: readonly string[];
}

/** @throws if there is no such account */
export async function accountNamed(machine: Machine, name: string): Promise<Overview> {
  const all = JSON.parse(await machine.must('bakker-storage accounts --json')) as Overview[];
  const found = all.find(({ account }) => account === name);
  if (!found) throw new Error(`no account ${name}`);
  return found;
}

/** A command line that runs another as the account's user; that one holds no apostrophe. */
export function asAccount(name: string, command: string): string {
  return `setpriv --reuid=${name} --regid=${name} --init-groups bash -c '${command}'`;
}
