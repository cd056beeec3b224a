import { escapeText } from '@bakker/command-line';
import { tellsAnybody } from '../config/notify-settings.ts';
import { AgentError } from '../errors.ts';
import type { Delivery } from '../notify/notify-after.ts';
import type { Command, CommandContext } from './command.ts';
import { VERSION } from './version.ts';

interface NotifyArgs {
  readonly test: boolean;
  readonly failed?: string;
}

interface Notified {
  readonly deliveries: readonly Delivery[];
  /** Why nobody had to be told. */
  readonly quiet?: string;
}

export const notify: Command<NotifyArgs, Notified> = {
  usage: 'notify',
  summary: 'Tell people and monitors: a test, or that a unit of systemd failed',
  examples: [
    ['bakker notify --test', 'send a test by every configured way, and say which arrived'],
    ['bakker notify --failed bakker.service', 'what bakker-notify@.service calls'],
  ],
  positionals: {},
  flags: {
    test: { type: 'boolean', describe: 'send a test by every way' },
    failed: {
      type: 'string',
      requiresArg: true,
      describe: 'tell that UNIT failed, unless its run said so itself',
    },
  },
  async run(context, { test, failed }) {
    if (test === (failed !== undefined)) {
      throw new AgentError('USAGE', 'notify: give either --test or --failed UNIT');
    }
    return failed === undefined ? tellTest(context) : tellFailed(context, failed);
  },
  json: ({ deliveries }) => deliveries.map(({ way, failure }) => ({ way, failure: failure ?? null })),
  render({ deliveries, quiet }, screen) {
    if (quiet !== undefined) screen.line(quiet);
    for (const { way, failure } of deliveries)
      screen.line(failure === undefined ? `ok    ${way}` : `FAIL  ${way}: ${escapeText(failure)}`);
  },
  exitStatus: ({ deliveries }) => (deliveries.some(({ failure }) => failure !== undefined) ? 1 : 0),
};

async function tellTest(context: CommandContext): Promise<Notified> {
  const { notifyAfter } = await import('../notify/notify-after.ts');
  const { notifyPorts } = await import('./notify-ports.ts');
  const ports = await notifyPorts(context);
  if (!tellsAnybody(ports.settings)) {
    throw new AgentError('USAGE', `${context.configFile} names nobody to tell`, {
      hint: 'add notify: to it; docs/notifications.md shows how',
    });
  }
  const nowMs = context.clock.nowMs();
  const message = 'This is a test: nothing happened.';
  return {
    deliveries: await notifyAfter(
      { kind: 'test', exitStatus: 0, message, startedAtMs: nowMs, finishedAtMs: nowMs },
      ports,
    ),
  };
}

async function tellFailed(context: CommandContext, unit: string): Promise<Notified> {
  const { failedUnit, isTold } = await import('../notify/failed-unit.ts');
  const outcome = failedUnit(unit, { monitor: process.env, nowMs: context.clock.nowMs() });
  const notifying = await context.notifying();
  if (isTold(await notifying.memory.read(), process.env))
    return { deliveries: [], quiet: `The run of ${escapeText(unit)} told of its failure itself.` };
  const { notifyAfter } = await import('../notify/notify-after.ts');
  try {
    const { notifyPorts } = await import('./notify-ports.ts');
    const ports = await notifyPorts(context);
    const invocation = process.env['MONITOR_INVOCATION_ID'];
    const deliveries = await notifyAfter(outcome, { ...ports, invocation });
    return deliveries.length > 0
      ? { deliveries }
      : { deliveries, quiet: 'Nobody is to be told of failures.' };
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'CONFIG_INVALID') throw error;
    // A broken configuration is itself a reason why backups fail, and names nobody any more.
    const { toRoot } = await import('../notify/failed-unit.ts');
    const message = `${outcome.message}\n${error.message}`;
    const deliveries = await notifyAfter(
      { ...outcome, message },
      {
        ...notifying,
        settings: toRoot,
        subject: { host: context.host, account: 'not known', version: VERSION },
        lastRuns: () => context.lastRuns(),
        invocation: process.env['MONITOR_INVOCATION_ID'],
      },
    );
    return { deliveries };
  }
}
