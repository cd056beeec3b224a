import { completionOf, listCommand } from '@bakker/command-line';
import { backup } from './backup.ts';
import { cat } from './cat.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { find } from './find.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';
import { history } from './history.ts';
import { init } from './init.ts';
import { key } from './key.ts';
import { list } from './list.ts';
import type { CommandContext, ListedCommand } from './command.ts';
import { ls } from './ls.ts';
import { notify } from './notify.ts';
import { recover } from './recover.ts';
import { restore } from './restore.ts';
import { retention } from './retention.ts';
import { status } from './status.ts';
import { verify } from './verify.ts';

/** Every command, in the order that `--help` shows. Each loads what it needs when it runs, so this list is quick. */
export const COMMANDS: readonly ListedCommand[] = [
  listCommand(init),
  listCommand(backup),
  listCommand(list),
  listCommand(ls),
  listCommand(cat),
  listCommand(diff),
  listCommand(find),
  listCommand(history),
  listCommand(restore),
  listCommand(verify),
  listCommand(retention),
  listCommand(key),
  listCommand(recover),
  listCommand(notify),
  listCommand(status),
  listCommand(doctor),
  listCommand(
    completionOf<CommandContext>({ program: 'bakker', globalFlags: GLOBAL_FLAGS, commands: () => COMMANDS }),
  ),
];
