import type { AccountOwners } from './account-owners.ts';
import type { Keeping } from './keeping.ts';
import type { ShellSession } from './shell-session.ts';
import type { System } from './system.ts';

/**
 * What main.ts can open for a command. Each is loaded by its call, so that a command pays only for its own. A new one is
 * a line here and a line in `adapters/open-ports.ts`.
 */
export interface Ports {
  /** For `shell`: serves one session over standard input and output. */
  session(): Promise<ShellSession>;
  /** For `provision` and the other commands of the storage's administrator: the machine itself. */
  system(): Promise<System>;
  /** For what is done to accounts in the names of their users. */
  owners(): Promise<AccountOwners>;
  /** For `retention`, `scrub` and the other commands that keep accounts. */
  keeping(): Promise<Keeping>;
}
