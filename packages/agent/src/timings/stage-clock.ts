/** What a command goes through, one after the other. */
export type Phase =
  'starting' | 'connecting' | 'preparing' | 'freezing' | 'files' | 'flushing' | 'publishing' | 'cleaning-up';

/** What the main thread does within a phase, many times and in turns. */
export type Work = 'scan' | 'compare' | 'read' | 'hash' | 'seal' | 'manifest' | 'send' | 'receive' | 'write';

/** Counters of this process, each from its start. */
export interface Counters {
  nowMs(): number;
  /** Processor time of all threads, user and system. */
  cpuMs(): number;
  /** The same of the main thread alone. */
  mainCpuMs(): number;
  /** How long the main thread had nothing to do. */
  idleMs(): number;
}

export interface PhaseTimes {
  readonly phase: Phase;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly otherThreadsCpuMs: number;
  /** The main thread waited: for the storage, the line, a disk, another thread. */
  readonly waitingMs: number;
  /** Where the main thread was; the most first. What is in none of them is the rest. */
  readonly works: readonly { readonly work: Work; readonly wallMs: number }[];
}

interface Mark {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly mainCpuMs: number;
  readonly waitingMs: number;
}

interface Sums {
  wallMs: number;
  cpuMs: number;
  mainCpuMs: number;
  waitingMs: number;
  readonly works: Map<Work, number>;
}

/**
 * Sorts the time of a command into phases, and within each the main thread's into works. Pure but for the counters that it
 * is given. A work costs two looks at the clock, a phase a few counters more; nothing grows.
 */
export class StageClock {
  readonly #counters: Counters;
  readonly #phases = new Map<Phase, Sums>();
  #phase: Phase = 'starting';
  #mark: Mark = { wallMs: 0, cpuMs: 0, mainCpuMs: 0, waitingMs: 0 };
  readonly #works = new Map<Work, number>();
  /** Time of works within the one that is being done. */
  #innerMs = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Ends the phase before, and begins this one; again, if it was there already. */
  begin(phase: Phase): void {
    this.#close();
    this.#phase = phase;
  }

  /** Does something that takes no wait; what other works take inside it is theirs alone. */
  doing<Result>(work: Work, act: () => Result): Result {
    const startMs = this.#counters.nowMs();
    const outerMs = this.#innerMs;
    this.#innerMs = 0;
    try {
      return act();
    } finally {
      const tookMs = this.#counters.nowMs() - startMs;
      this.#works.set(work, (this.#works.get(work) ?? 0) + tookMs - this.#innerMs);
      this.#innerMs = outerMs + tookMs;
    }
  }

  /** Up to now, in the order in which phases began. */
  times(): PhaseTimes[] {
    this.#close();
    return [...this.#phases].map(([phase, { wallMs, cpuMs, mainCpuMs, waitingMs, works }]) => ({
      phase,
      wallMs,
      cpuMs,
      otherThreadsCpuMs: Math.max(0, cpuMs - mainCpuMs),
      waitingMs,
      works: [...works].map(([work, ms]) => ({ work, wallMs: ms })).sort((a, b) => b.wallMs - a.wallMs),
    }));
  }

  #close(): void {
    const { wallMs, cpuMs, mainCpuMs, waitingMs } = this.#mark;
    const now = this.#look();
    this.#mark = now;
    const sums = this.#sumsOf(this.#phase);
    sums.wallMs += now.wallMs - wallMs;
    sums.cpuMs += now.cpuMs - cpuMs;
    sums.mainCpuMs += now.mainCpuMs - mainCpuMs;
    sums.waitingMs += now.waitingMs - waitingMs;
    for (const [work, ms] of this.#works) sums.works.set(work, (sums.works.get(work) ?? 0) + ms);
    this.#works.clear();
  }

  #look(): Mark {
    const counters = this.#counters;
    return {
      wallMs: counters.nowMs(),
      cpuMs: counters.cpuMs(),
      mainCpuMs: counters.mainCpuMs(),
      waitingMs: counters.idleMs(),
    };
  }

  #sumsOf(phase: Phase): Sums {
    let sums = this.#phases.get(phase);
    if (sums === undefined) {
      sums = { wallMs: 0, cpuMs: 0, mainCpuMs: 0, waitingMs: 0, works: new Map() };
      this.#phases.set(phase, sums);
    }
    return sums;
  }
}
