import { backup } from './backup.ts';
import { completion } from './completion.ts';
import { doctor } from './doctor.ts';
import { init } from './init.ts';
import { listCommand } from './listed-command.ts';
import type { ListedCommand } from './listed-command.ts';
import { restore } from './restore.ts';
import { retention } from './retention.ts';
import { status } from './status.ts';

/** Every command, in the order that `--help` shows. Each loads what it needs when it runs, so this list is quick. */
export const COMMANDS: readonly ListedCommand[] = [
  listCommand(init),
  listCommand(backup),
  listCommand(restore),
  listCommand(retention),
  listCommand(status),
  listCommand(doctor),
  listCommand(completion(() => COMMANDS)),
];
