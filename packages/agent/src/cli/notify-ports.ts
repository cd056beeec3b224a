import { formatAccountAddress } from '../config/account-address.ts';
import type { NotifyPorts } from '../notify/notify-after.ts';
import type { CommandContext } from './command.ts';
import { VERSION } from './version.ts';

/** What telling of a run needs, from the context. @throws AgentError CONFIG_INVALID */
export async function notifyPorts(context: CommandContext): Promise<NotifyPorts> {
  const config = await context.config();
  return {
    settings: config.notify,
    subject: { host: context.host, account: formatAccountAddress(config.account), version: VERSION },
    ...(await context.notifying()),
    lastRuns: () => context.lastRuns(),
    // systemd's name for this start
    invocation: process.env['INVOCATION_ID'],
  };
}
