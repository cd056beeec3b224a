import type { Config, SourceSettings } from '../config/config.ts';
import { needsSnapshot } from '../config/freezing.ts';
import type { FreezeTools } from '../ports/frozen-source.ts';
import type { OpenedServices } from '../ports/services.ts';
import type { SourceProblem, SourceTree } from '../ports/source-tree.ts';
import type { Freeze, FreezePlan, FrozenView } from '../ports/volumes.ts';
import { enterAll } from '../quiesce/enter-all.ts';
import type { QuiesceReport, ServiceFolders } from '../quiesce/enter-all.ts';
import { within } from '../quiesce/within.ts';
import { sourcesToFreeze } from '../volumes/freeze.ts';
import { notOfOneMoment } from '../volumes/one-moment.ts';
import { checkedTree } from './checked-tree.ts';
import { snapshotsOf } from './report.ts';
import type { SourceSnapshot } from './report.ts';

/** For undoing all of a freezing, beside the limits of its steps. */
const RELEASE_TIMEOUT_MS = 10 * 60_000;

/** The sources of a run at one moment. Disposing undoes what was made; it is idempotent and deaf to the signal. */
export interface FrozenSource extends AsyncDisposable {
  /** The run's configuration, the dumps among its sources. */
  readonly config: Config;
  readonly source: SourceTree;
  readonly snapshots: readonly SourceSnapshot[];
  /** Undefined where nothing stood still. */
  readonly windowMs: number | undefined;
  readonly warnings: readonly string[];
  /** What could not be taken into a copy. */
  readonly problems: readonly SourceProblem[];
  /** Before the publish. @throws AgentError SNAPSHOT_FAILED */
  check(): Promise<void>;
}

export interface FreezeSourceOptions {
  /** The files as they are now. */
  readonly live: SourceTree;
  readonly signal: AbortSignal;
  readonly onStage: (words: string) => void;
  readonly onWarning: (text: string) => void;
}

/**
 * Lets the services stand still, takes the snapshots, lets the services go, and mounts what was taken. If anything fails,
 * or the signal aborts, everything is undone before this throws.
 *
 * @throws AgentError QUIESCE_FAILED, SNAPSHOT_FAILED, SOURCE_SUSPICIOUS, or the signal's reason
 */
export async function freezeSource(
  config: Config,
  tools: FreezeTools,
  options: FreezeSourceOptions,
): Promise<FrozenSource> {
  const { live, onStage, onWarning } = options;
  onStage('looking at services and snapshots');
  const opened = tools.openServices(config.services);
  const dumps = opened.hasDumps ? [Buffer.from(opened.dumpsFolder)] : [];
  const plan = await tools.volumes.plan(await sourcesToFreeze(config, live), { live: dumps });
  // A snapshot that comes too late is given up.
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  if (!plan.isLive) onStage('making room for snapshots');
  const freeze = await tools.volumes.prepare(plan, { journal: tools.journal, signal });
  const made = new Made(freeze);
  try {
    const { quiesce, folders } = await takeInWindow(freeze, { opened, config, tools, options, stop });
    onStage('mounting snapshots');
    const view = await freeze.mount();
    const tree = plan.isLive ? undefined : tools.openView(view.root, dumps);
    if (tree !== undefined) made.onRelease(() => tree.close());
    const check = (): Promise<void> => view.check();
    const source = tree === undefined ? live : checkedTree(tree, { check, clock: tools.stopwatch });
    return {
      config: opened.hasDumps ? withDumps(config, opened.dumpsFolder) : config,
      source,
      snapshots: snapshotsOf(plan),
      windowMs: quiesce.services.length === 0 ? undefined : quiesce.windowMs,
      warnings: [
        ...warningsOf(config, plan, view),
        ...(plan.isLive ? [] : notOfOneMoment(folders, plan.volumes)),
      ],
      problems: view.problems,
      check,
      [Symbol.asyncDispose]: () => made.release(),
    };
  } catch (error) {
    await made.release().catch((failure: unknown) => onWarning(leftWords(failure)));
    throw error;
  }
}

/** What a failed release means, for whoever reads the run's warnings. */
export function leftWords(failure: unknown): string {
  const message = failure instanceof Error ? failure.message : String(failure);
  return `what was made for this run is not undone: ${message}; bakker recover tries again`;
}

/** Whatever becomes of the snapshots, the services are left before this returns or throws. */
async function takeInWindow(
  freeze: Freeze,
  from: {
    opened: OpenedServices;
    config: Config;
    tools: FreezeTools;
    options: FreezeSourceOptions;
    stop: AbortController;
  },
): Promise<{ quiesce: QuiesceReport; folders: readonly ServiceFolders[] }> {
  const { config, tools, options, stop } = from;
  const { services, holdMachine } = from.opened;
  if (services.length > 0) options.onStage('entering services');
  const entered = await enterAll(services, {
    journal: tools.journal,
    clock: tools.stopwatch,
    signal: options.signal,
    windowMs: config.windowMs,
    holdMachine,
  });
  const { overdue } = entered;
  overdue.addEventListener('abort', () => stop.abort(overdue.reason));
  if (overdue.aborted) stop.abort(overdue.reason);
  try {
    options.onStage('taking snapshots');
    await freeze.take();
  } catch (error) {
    // What was given up because the window was over says so.
    throw await entered.leaveAfter(overdue.aborted ? overdue.reason : error);
  }
  const folders = entered.oneMoment();
  return { quiesce: await entered.leaveAll(), folders };
}

function withDumps(config: Config, path: string): Config {
  // Whatever is excluded elsewhere, a dump is wanted.
  const dumps: SourceSettings = { path, excludes: ['!*'], oneFilesystem: true, honourMarkers: false };
  return { ...config, sources: [...config.sources, dumps] };
}

function warningsOf(config: Config, plan: FreezePlan, view: FrozenView): string[] {
  const warnings = [...view.warnings];
  if (plan.isLive && needsSnapshot(config.services)) {
    const why = plan.volumes.map((volume) => volume.why);
    warnings.push(
      `no file system is frozen (${[...new Set(why)].join('; ')}): the files of the services are read while they change`,
    );
  }
  return warnings;
}

/** Undone once, whoever asks. */
class Made {
  readonly #freeze: Freeze;
  readonly #before: (() => void)[] = [];
  #releasing: Promise<void> | undefined;

  constructor(freeze: Freeze) {
    this.#freeze = freeze;
  }

  onRelease(act: () => void): void {
    this.#before.push(act);
  }

  /** @throws what could not be undone; it stays recorded */
  release(): Promise<void> {
    return (this.#releasing ??= this.#release());
  }

  async #release(): Promise<void> {
    for (const act of this.#before) act();
    await within(() => Promise.resolve(this.#freeze[Symbol.asyncDispose]()), {
      timeoutMs: RELEASE_TIMEOUT_MS,
      what: 'undoing the snapshots',
    });
  }
}
