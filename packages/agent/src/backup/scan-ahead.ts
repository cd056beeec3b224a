import { compareRunNames, manifestName, readManifest } from '@bakker/impl-format';
import type { Entry, SteppedManifest, RunName } from '@bakker/impl-format';
import type { KeptManifest, StateFolder } from '../ports/state-folder.ts';
import type { ScanPlan, SourceProblem, SourceSurvey, SourceTree } from '../ports/source-tree.ts';
import type { Parent } from './choose-parent.ts';
import { ParentEntries } from './earlier-entries.ts';

/** Batches of about a thousand entries that may wait: what is scanned while a storage logs us in. */
const MAX_BATCHES = 16;

export interface ScanAheadOptions {
  readonly plan: ScanPlan;
  readonly survey: SourceSurvey;
  readonly source: SourceTree;
  readonly state: StateFolder;
  readonly signal: AbortSignal;
  readonly nowMs: number;
  /** Asked when the parent's start is known. */
  readonly isDue: (lastStartMs: number) => boolean;
}

/**
 * A scan that begins before the storage is connected to, beside the newest run that is kept here: mostly that is the
 * parent. Where it turns out to be another one, this is disposed of, and nothing of it was told to anybody.
 */
export class ScanAhead implements AsyncDisposable {
  /** When it began. The run began then: what changed later may not have been seen. */
  readonly startedAtMs: number;
  /** The same moment by a clock that nobody sets. */
  readonly begunMs = performance.now();
  readonly #run: RunName;
  readonly #kept: KeptManifest;
  /** Its header was read; its entries are `earlier`'s. */
  readonly before: SteppedManifest;
  readonly earlier: ParentEntries;
  readonly #plan: ScanPlan;
  readonly #scan: AsyncIterator<readonly Entry[], unknown>;
  readonly #batches: (readonly Entry[])[] = [];
  readonly #filled: Promise<void>;
  #problems: SourceProblem[] | undefined = [];
  #isWanted = true;
  #failure: { readonly error: unknown } | undefined;

  /** Undefined if nothing is kept here, or no run is due. What goes wrong here goes wrong again later, where it is told. */
  static async begin(options: ScanAheadOptions): Promise<ScanAhead | undefined> {
    const { state, isDue } = options;
    const run = (await state.keptRuns()).toSorted(compareRunNames).at(-1);
    const kept = run && (await state.keptManifest(run));
    if (!kept) return undefined;
    const before = await readManifest(kept.read(), { source: manifestName(run), keepLines: true });
    if (before.header.run === run && isDue(before.header.startedAtMs)) {
      return new ScanAhead({ run, kept, before }, options);
    }
    await before[Symbol.asyncDispose]();
    return undefined;
  }

  private constructor(
    { run, kept, before }: { run: RunName; kept: KeptManifest; before: SteppedManifest },
    { plan, survey, source, signal, nowMs }: ScanAheadOptions,
  ) {
    this.startedAtMs = nowMs;
    this.#run = run;
    this.#kept = kept;
    this.before = before;
    this.earlier = new ParentEntries(before.cursor(), before.header.startedAtMs);
    this.#plan = plan;
    const onProblem = (problem: SourceProblem): void => {
      if (this.#problems) this.#problems.push(problem);
      else plan.onProblem(problem);
    };
    const scan = source.scan({ ...plan, onProblem }, survey, { signal, earlier: this.earlier });
    this.#scan = scan[Symbol.asyncIterator]();
    this.#filled = this.#fill();
  }

  /** Whether the scan went beside this very manifest. */
  isBeside(parent: Parent | undefined): boolean {
    const { digest, stored } = this.#kept;
    return parent?.run === this.#run && parent.digest === digest && parent.storedSha256 === stored.sha256;
  }

  /** Takes the scan over: all of its batches, once. @throws what the scan throws */
  async *batches(): AsyncGenerator<readonly Entry[]> {
    this.#isWanted = false; // from here on at the reader's pace
    await this.#filled;
    const problems = this.#problems ?? [];
    this.#problems = undefined;
    for (const problem of problems) this.#plan.onProblem(problem);
    yield* this.#batches.splice(0);
    if (this.#failure) throw this.#failure.error;
    for (;;) {
      const step = await this.#scan.next();
      if (step.done === true) return;
      yield step.value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isWanted = false;
    await this.#filled;
    await this.#scan.return?.(undefined);
    await this.before[Symbol.asyncDispose]();
  }

  async #fill(): Promise<void> {
    try {
      while (this.#isWanted && this.#batches.length < MAX_BATCHES) {
        const step = await this.#scan.next();
        if (step.done === true) return;
        this.#batches.push(step.value);
      }
    } catch (error) {
      this.#failure = { error };
    }
  }
}
