import type { NotifyEvent, NotifySettings } from '../config/notify-settings.ts';
import type { NotifyMemory, Notifier, NtfyMessage, PingEvent, Told } from '../ports/notifier.ts';
import type { LastRuns } from '../ports/state-folder.ts';
import { hookInput } from './facts.ts';
import { renderMail } from './mail-message.ts';
import { renderMetrics } from './metrics.ts';
import type { Outcome, Subject } from './outcome.ts';
import { subjectOf, textOf } from './words.ts';

/** After an interruption somebody waits for the end; systemd's TimeoutStopSec is longer. */
const INTERRUPTED_LIMIT_MS = 20_000;
/** More than all that the limits of one way can add up to. */
const LIMIT_MS = 7_200_000;

export interface NotifyPorts {
  readonly settings: NotifySettings;
  readonly subject: Subject;
  readonly notifier: Notifier;
  readonly memory: NotifyMemory;
  /** What is remembered of runs, this one included. */
  readonly lastRuns: () => Promise<LastRuns>;
  /** What systemd calls this start of the unit; undefined if it did not start it. */
  readonly invocation: string | undefined;
}

/** How telling by one way went. */
export interface Delivery {
  /** `mail`, `hook chat` */
  readonly way: string;
  /** Undefined if it arrived, as far as this side can tell. */
  readonly failure: string | undefined;
}

/**
 * Tells everybody who wants to know what became of a run: all at the same time, each within its limits. Nothing that
 * fails here changes what became of the run.
 *
 * @returns one line for each way that was for this outcome
 */
export async function notifyAfter(outcome: Outcome, ports: NotifyPorts): Promise<Delivery[]> {
  const last = await ports.lastRuns().catch(() => undefined);
  const told = await ports.memory.read();
  const { report, space } = outcome;
  const figures = report === undefined || outcome.kind === 'skipped' ? told.figures : { report, space };
  const ways = waysFor(outcome, { ports, last, figures });
  const signal = AbortSignal.timeout(outcome.kind === 'interrupted' ? INTERRUPTED_LIMIT_MS : LIMIT_MS);
  const deliveries = await Promise.all(
    ways.map(async ({ way, send }): Promise<Delivery> => {
      try {
        await send({ signal });
        return { way, failure: undefined };
      } catch (error) {
        return { way, failure: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  await remember({ ...told, figures }, { outcome, deliveries, ports });
  return deliveries;
}

interface Way {
  readonly way: string;
  readonly send: (sending: { signal: AbortSignal }) => Promise<void>;
}

function waysFor(
  outcome: Outcome,
  about: { ports: NotifyPorts; last: LastRuns | undefined; figures: Told['figures'] },
): Way[] {
  const { ports, last, figures } = about;
  const { settings, notifier, subject } = ports;
  const { hooks, ping, mail, ntfy, prometheus } = settings;
  const title = subjectOf(outcome, { subject, last });
  const text = textOf(outcome, { subject, last });
  const input = hookInput(outcome, { subject, last, text });
  const wants = (on: readonly NotifyEvent[]): boolean =>
    outcome.kind === 'test' || on.some((event) => event === eventOf(outcome));
  const ways: Way[] = [];
  const add = (way: string, send: Way['send']): void => void ways.push({ way, send });
  for (const hook of hooks) {
    if (wants(hook.on)) add(`hook ${hook.name}`, (sending) => notifier.runHook(hook, input, sending));
  }
  const event = pingEventOf(outcome);
  if (ping !== undefined && event !== undefined)
    add('ping', (sending) => notifier.ping(ping, { event, body: `${title}\n\n${text}` }, sending));
  if (mail !== undefined && wants(mail.on)) {
    const message = renderMail(mail, { subject: `bakker: ${title}`, text });
    add('mail', (sending) => notifier.sendMail(mail, message, sending));
  }
  if (ntfy !== undefined && wants(ntfy.on))
    add('ntfy', (sending) => notifier.publish(ntfy, { title, text, ...urgencyOf(outcome) }, sending));
  // the failure of another unit says nothing of runs
  if (prometheus !== undefined && outcome.unit === undefined) {
    const metrics = renderMetrics(outcome, { account: subject.account, last, figures });
    add('prometheus', () => notifier.writeMetrics(prometheus, metrics));
  }
  return ways;
}

/** What the configuration calls it. */
function eventOf({ kind }: Outcome): NotifyEvent | undefined {
  if (kind === 'skipped' || kind === 'test') return undefined;
  return kind === 'interrupted' ? 'failure' : kind;
}

/** A monitor waits for a run that is published; what could not be read is for people. */
function pingEventOf({ kind }: Outcome): PingEvent | undefined {
  if (kind === 'skipped') return undefined;
  if (kind === 'test') return 'log';
  return kind === 'success' || kind === 'partial' ? 'success' : 'fail';
}

function urgencyOf({ kind }: Outcome): Pick<NtfyMessage, 'priority' | 'tags'> {
  if (kind === 'failure') return { priority: 4, tags: ['rotating_light'] };
  if (kind === 'partial' || kind === 'interrupted') return { priority: 3, tags: ['warning'] };
  return { priority: 2, tags: ['white_check_mark'] };
}

/** A failure counts as told once it has reached a person by one way; metrics do not call anybody. */
async function remember(
  told: Told,
  about: { outcome: Outcome; deliveries: readonly Delivery[]; ports: NotifyPorts },
): Promise<void> {
  const { outcome, deliveries, ports } = about;
  if (outcome.kind === 'test' || outcome.kind === 'skipped') return;
  const isBad = outcome.kind === 'failure' || outcome.kind === 'interrupted';
  const isTold =
    isBad && deliveries.some(({ way, failure }) => way !== 'prometheus' && failure === undefined);
  const { invocation } = ports;
  const saved: Told = {
    figures: told.figures,
    ...(isTold && invocation !== undefined ? { invocation } : {}),
  };
  await ports.memory.save(saved).catch(() => undefined);
}
