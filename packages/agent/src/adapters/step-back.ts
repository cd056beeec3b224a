import { getPriority } from 'node:os';
import {
  allowedProcessors,
  isIdleAtDisk,
  onEveryThread,
  setAllowedProcessors,
  setIoPriority,
  setNice,
} from '@bakker/linux';
import type { IoPriority } from '@bakker/linux';
import type { Limits } from '../limits/limits.ts';

/**
 * Lets others go before this process, all its threads, as far as the limits ask for it. Programs that it starts from then on
 * do the same. What is refused (by a sandbox, say) is told, and all goes on as before.
 */
export function stepBack(
  { ioPriority, nice, cores }: Pick<Limits, 'ioPriority' | 'nice' | 'cores'>,
  onRefused: (warning: string) => void,
): void {
  const attempt = (what: string, change: () => void): void => {
    try {
      change();
    } catch (error) {
      onRefused(`${what} can't be set: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (ioPriority !== 'normal') {
    const priority =
      ioPriority === 'idle'
        ? ({ kind: 'idle' } as const)
        : ({ kind: 'best-effort', level: LOWEST_LEVEL } as const);
    attempt('io-priority', () => onEveryThread((id) => lowerAtDisk(id, priority)));
  }
  if (nice > 0) attempt('nice', () => onEveryThread((id) => setNicer(id, nice)));
  if (cores === undefined) return;
  attempt('cores', () => {
    const chosen = chooseProcessors(allowedProcessors(), cores, process.pid);
    onEveryThread((id) => setAllowedProcessors(id, chosen));
  });
}

/** So many of them, beginning where chance has it, so that two programs do not crowd on the first one. */
export function chooseProcessors(allowed: readonly number[], count: number, start: number): number[] {
  const turned = allowed.map((_, index) => allowed[(index + start) % allowed.length] ?? 0);
  return turned.slice(0, count).sort((a, b) => a - b);
}

const LOWEST_LEVEL = 7;

/** Whoever started this with less than is asked for meant it. */
function lowerAtDisk(threadId: number, priority: IoPriority): void {
  if (priority.kind === 'idle' || !isIdleAtDisk(threadId)) setIoPriority(threadId, priority);
}

/** The same. */
function setNicer(threadId: number, nice: number): void {
  if (getPriority(threadId) < nice) setNice(threadId, nice);
}
