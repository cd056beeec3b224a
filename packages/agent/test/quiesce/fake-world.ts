import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenedServices, PreparedService, Service } from '../../src/ports/services.ts';
import type { PendingUndo, UndoId, UndoJournal, Undoers, UndoStep } from '../../src/ports/undo-journal.ts';

/** Services and a journal in memory; the `failAt`-th thing that is done fails, before or after its effect. */
export class FakeWorld {
  readonly log: string[] = [];
  readonly standing = new Set<string>();
  readonly rows: PendingUndo[] = [];
  effects = 0;
  failAt = 0;
  failsAfter = false;
  nowMs = 0;
  #lastId = 0;

  readonly clock = { nowMs: () => this.nowMs };

  readonly journal: UndoJournal = {
    record: (step) => {
      const id = ++this.#lastId as UndoId;
      this.effect(`record ${nameOf(step)}`, () => {
        this.rows.unshift({ id, step, recordedAtMs: this.nowMs });
      });
      return id;
    },
    settle: (id) => {
      this.effect('settle', () => {
        const index = this.rows.findIndex((row) => row.id === id);
        if (index >= 0) this.rows.splice(index, 1);
      });
    },
    settleOnDisk: async (ids) => {
      for (const id of ids) this.journal.settle(id);
    },
    pending: () => [...this.rows],
  };

  readonly undoers: Undoers = {
    leave: async (step) => this.leave(nameOf(step)),
  };

  readonly holdMachine: OpenedServices['holdMachine'] = async () => {
    this.effect('hold machine', () => undefined);
    return { [Symbol.dispose]: () => void this.log.push('let machine go') };
  };

  effect(words: string, act: () => void): void {
    const isFatal = ++this.effects === this.failAt;
    if (!isFatal || this.failsAfter) {
      act();
      this.log.push(words);
    }
    if (isFatal) throw new Error(`injected at ${words}`);
  }

  leave(name: string): void {
    this.effect(`leave ${name}`, () => this.standing.delete(name));
  }

  service(
    name: string,
    options: {
      takesMs?: number;
      dump?: boolean;
      hangs?: 'enter' | 'leave';
      /** Of real time, which timers go by. */
      leavesAfterMs?: number;
      oneMoment?: readonly string[];
      stoodStill?: PreparedService['stoodStill'];
    } = {},
  ): Service {
    const { takesMs = 0, dump = false, hangs, leavesAfterMs = 0, oneMoment = [], stoodStill } = options;
    return {
      name,
      timeoutMs: hangs === undefined ? 10_000 : 50,
      isDump: dump,
      prepare: async () => {
        this.effect(`look ${name}`, () => undefined);
        return {
          undo: dump ? undefined : { kind: 'leave', name },
          standsStill: !dump,
          enter: async ({ signal }) => {
            this.nowMs += takesMs;
            this.effect(`enter ${name}`, () => this.standing.add(name));
            if (hangs === 'enter') await aborted(signal);
          },
          leave: async ({ signal }) => {
            if (hangs === 'leave') await aborted(signal);
            if (leavesAfterMs > 0) await sleep(leavesAfterMs);
            this.nowMs += takesMs;
            if (dump) this.standing.delete(name);
            else this.leave(name);
          },
          files: () => (dump ? [`/dumps/${name}`] : []),
          oneMoment: () => [oneMoment],
          ...(stoodStill === undefined ? {} : { stoodStill }),
        };
      },
    };
  }
}

/** Rejects when the signal aborts, as what heeds it does. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(new Error('was stopped'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
  });
}

function nameOf(step: UndoStep): string {
  const name = step['name'];
  return typeof name === 'string' ? name : 'nobody';
}
