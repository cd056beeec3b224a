import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { hasCode, LibcError, fail, libc } from './libc.ts';

/** When a thread gets the disk: `idle` when nobody else wants it, else before threads of a higher level (0 to 7). */
export type IoPriority = { readonly kind: 'idle' } | { readonly kind: 'best-effort'; readonly level: number };

/**
 * Calls `change` with the id of every thread of this process, those too that start meanwhile: Linux keeps priorities and
 * processors by thread, and a new one has those of the thread that starts it.
 */
export function onEveryThread(change: (threadId: number) => void): void {
  const done = new Set<number>();
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (const name of readdirSync('/proc/self/task')) {
      const threadId = Number(name);
      if (done.has(threadId)) continue;
      done.add(threadId);
      isSettled = false;
      unlessGone(() => change(threadId));
    }
  }
}

/** @param nice - -20 (first) to 19 (last). @throws Error `EACCES` to whoever may not go before others */
export function setNice(threadId: number, nice: number): void {
  setPriority(threadId, nice);
}

/** @throws LibcError `EPERM`; `ENOSYS` on a machine whose number for the call is not known */
export function setIoPriority(threadId: number, priority: IoPriority): void {
  const number = IOPRIO_SET[process.arch];
  if (number === undefined) throw new LibcError('ioprio_set', ENOSYS);
  const value =
    priority.kind === 'idle'
      ? CLASS_IDLE << CLASS_SHIFT
      : (CLASS_BEST_EFFORT << CLASS_SHIFT) | priority.level;
  if (libc().ioprioSet(number, WHO_PROCESS, threadId, value) < 0) fail('ioprio_set');
}

/** Whether a thread gets the disk only when nobody else wants it already. @throws LibcError */
export function isIdleAtDisk(threadId: number): boolean {
  const number = IOPRIO_GET[process.arch];
  if (number === undefined) throw new LibcError('ioprio_get', ENOSYS);
  const value = libc().ioprioSet(number, WHO_PROCESS, threadId, 0);
  if (value < 0) fail('ioprio_get');
  return value >> CLASS_SHIFT === CLASS_IDLE;
}

/** The processors that this thread may use, by number, ascending. @throws LibcError */
export function allowedProcessors(): number[] {
  const mask = Buffer.alloc(MASK_BYTES);
  if (libc().sched_getaffinity(0, mask.length, mask) < 0) fail('sched_getaffinity');
  const processors: number[] = [];
  for (let index = 0; index < mask.length * 8; index++)
    if (((mask[index >> 3] ?? 0) & (1 << (index & 7))) !== 0) processors.push(index);
  return processors;
}

/** @throws LibcError `EINVAL` if none of them is there */
export function setAllowedProcessors(threadId: number, processors: readonly number[]): void {
  const mask = Buffer.alloc(MASK_BYTES);
  for (const index of processors) mask[index >> 3] = (mask[index >> 3] ?? 0) | (1 << (index & 7));
  if (libc().sched_setaffinity(threadId, mask.length, mask) < 0) fail('sched_setaffinity');
}

/** Room for 8,192 processors, the most that a kernel is built for; in words of 8 bytes, lowest byte first. */
const MASK_BYTES = 1024;
const ENOSYS = 38;
const IOPRIO_SET: Partial<Record<NodeJS.Architecture, number>> = { x64: 251, arm64: 30 };
const IOPRIO_GET: Partial<Record<NodeJS.Architecture, number>> = { x64: 252, arm64: 31 };
const WHO_PROCESS = 1;
const CLASS_BEST_EFFORT = 2;
const CLASS_IDLE = 3;
const CLASS_SHIFT = 13;

/** A thread that has ended since it was listed needs nothing any more. */
function unlessGone(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!hasCode(error, 'ESRCH') && !(error instanceof Error && 'info' in error && isGone(error.info)))
      throw error;
  }
}

/** node:os tells the errno in `info`. */
function isGone(info: unknown): boolean {
  return typeof info === 'object' && info !== null && 'code' in info && info.code === 'ESRCH';
}
