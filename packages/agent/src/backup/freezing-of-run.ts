import type { Config } from '../config/config.ts';
import { asksToFreeze } from '../config/freezing.ts';
import type { Freezing } from '../ports/frozen-source.ts';
import type { Progress } from '../ports/progress.ts';
import type { SourceTree } from '../ports/source-tree.ts';
import type { FrozenSource } from './freeze-source.ts';

export interface FreezingOfRunPorts {
  readonly freezing?: Freezing | undefined;
  readonly source: SourceTree;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What is frozen for a run: made once, by the first attempt that is due, and kept until the run is over. */
export class FreezingOfRun {
  readonly #ports: FreezingOfRunPorts;
  #frozen: FrozenSource | undefined;

  constructor(ports: FreezingOfRunPorts) {
    this.#ports = ports;
  }

  /** Undoes what a dead run left. @throws AgentError RECOVER_INCOMPLETE, STATE_UNUSABLE */
  async recover(): Promise<void> {
    const { freezing, progress } = this.#ports;
    if (freezing === undefined || !(await freezing.mayHaveLeft())) return;
    const { recoverOrFail } = await import('../undo/recover.ts');
    await recoverOrFail(await freezing.open(), (words) =>
      progress.warning(`undone, as an earlier run had left it: ${words}`),
    );
  }

  /** @throws AgentError QUIESCE_FAILED, SNAPSHOT_FAILED, SOURCE_SUSPICIOUS, or the signal's reason; then nothing is left */
  async freeze(config: Config): Promise<FrozenSource | undefined> {
    const { freezing, source, progress, signal } = this.#ports;
    if (freezing === undefined || !asksToFreeze(config)) return undefined;
    if (this.#frozen !== undefined) return this.#frozen;
    const { freezeSource } = await import('./freeze-source.ts');
    this.#frozen = await freezeSource(config, await freezing.open(), {
      live: source,
      signal,
      onStage: (words) => progress.stage(words),
      onWarning: (text) => progress.warning(text),
    });
    return this.#frozen;
  }

  /** What went wrong, if the snapshots are the cause of it: they say more than what could not be read of them. */
  async explain(error: unknown): Promise<unknown> {
    try {
      await this.#frozen?.check();
      return error;
    } catch (found) {
      return found;
    }
  }

  /** Never throws: what is not undone is a warning, and stays recorded. @returns the warnings */
  async release(): Promise<readonly string[]> {
    const frozen = this.#frozen;
    if (frozen === undefined) return [];
    try {
      await frozen[Symbol.asyncDispose]();
      return [];
    } catch (failure) {
      const { leftWords } = await import('./freeze-source.ts');
      const words = leftWords(failure);
      this.#ports.progress.warning(words);
      return [words];
    }
  }
}
