import { libc } from '@bakker/linux';
import { setPriority } from 'node:os';

/** Gives this process the disk only when nobody else wants it, and the processor last. Where that is refused, it stays as it is. */
export function stepBack(): void {
  try {
    setPriority(IDLE_NICE);
  } catch {
    // A sandbox; nothing depends on it.
  }
  const number = IOPRIO_SET[process.arch];
  if (number !== undefined) libc().ioprioSet(number, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT);
}

const IDLE_NICE = 19;
const IOPRIO_SET: Partial<Record<NodeJS.Architecture, number>> = { x64: 251, arm64: 30 };
const WHO_PROCESS = 1;
const CLASS_IDLE = 3;
const CLASS_SHIFT = 13;
