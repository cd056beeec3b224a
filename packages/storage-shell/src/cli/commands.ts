import { completionOf, listCommand } from '@bakker/command-line';
import { GLOBAL_FLAGS } from './global-flags.ts';
import { freeze } from './freeze.ts';
import { remove } from './remove.ts';
import { retention } from './retention.ts';
import { scrub } from './scrub.ts';
import { thaw } from './thaw.ts';
import { timers } from './timers.ts';
import { undelete } from './undelete.ts';
import { usage } from './usage.ts';
import { provision } from './provision.ts';
import { deprovision } from './deprovision.ts';
import { accounts } from './accounts.ts';
import { grant } from './grant.ts';
import { revoke } from './revoke.ts';
import { grow } from './grow.ts';
import { quota } from './quota.ts';
import { config } from './config.ts';
import type { CommandContext, ListedCommand } from './command.ts';
import { shell } from './shell.ts';

/** Every command, in the order that `--help` shows: a line here, a file beside. */
export const COMMANDS: readonly ListedCommand[] = [
  listCommand(shell),
  listCommand(provision),
  listCommand(deprovision),
  listCommand(accounts),
  listCommand(grant),
  listCommand(revoke),
  listCommand(grow),
  listCommand(quota),
  listCommand(config),
  listCommand(retention),
  listCommand(remove),
  listCommand(undelete),
  listCommand(freeze),
  listCommand(thaw),
  listCommand(usage),
  listCommand(scrub),
  listCommand(timers),
  listCommand(
    completionOf<CommandContext>({
      program: 'bakker-storage',
      globalFlags: GLOBAL_FLAGS,
      commands: () => COMMANDS,
    }),
  ),
];
