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

/** bakker as a server of its own on this machine, with the account of that name. */
export function bakkerOf(name: string): string {
  return `bakker --config /etc/bakker/${name}.yaml --state /var/lib/bakker-${name}`;
}

/** A command line that enrols it with `/root/key`. */
export function enrolment(name: string, source: string): string {
  return `${bakkerOf(name)} init ${name}@127.0.0.1:/ --identity /root/key --host-key $(ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub | cut -d ' ' -f 2) --source ${source} --yes`;
}

/**
 * Contents and attributes of the first run of an account, or of each. Links are counted by later runs, so their number is
 * left out.
 */
export function pastOf(machine: Machine, account = '*'): Promise<string> {
  return machine.must(
    `for account in /backups/${account}/; do run=$(ls -d "$account"*_*_*_01 | head -n 1); find "$run" -printf "%P %y %m %U %G %s %T@ %i\\n" | sort; find "$run" "$run.impl" -type f -exec sha256sum {} + | sort; done`,
  );
}
