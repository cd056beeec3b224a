import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { tryLock } from '@bakker/linux';
import { AgentError } from '../../errors.ts';
import type { ServiceContext } from '../../ports/services.ts';

const LOOK_AGAIN_MS = 100;

/** Whoever holds this file's lock lets services of this machine stand still. Undefined where there is no safe place for it. */
export function machineLockFile(): string | undefined {
  const uid = process.getuid?.();
  // folders in which nobody else can make it, and so hold it
  if (uid === 0) return '/run/bakker-services.lock';
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return runtime?.startsWith('/') === true ? `${runtime}/bakker-services.lock` : undefined;
}

/**
 * Waits until no other bakker of this machine lets services stand still. The kernel drops the lock when bakker dies, and what
 * bakker starts does not inherit it.
 *
 * @throws AgentError QUIESCE_FAILED when the signal aborts, or if the file can't be opened
 */
export async function lockMachine(file: string, { signal }: ServiceContext): Promise<Disposable> {
  const descriptor = openPrivate(file);
  const fromMs = performance.now();
  try {
    while (!tryLock(descriptor)) {
      if (signal.aborted) throw isHeld(file, performance.now() - fromMs);
      await delay(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
    // for people; the kernel's lock is what counts
    ftruncateSync(descriptor, 0);
    writeSync(descriptor, `process ${process.pid}, since ${new Date().toISOString()}\n`, 0);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return { [Symbol.dispose]: () => closeSync(descriptor) };
}

/** Others may not even read it: to open it is enough to hold its lock. */
function openPrivate(file: string): number {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('QUIESCE_FAILED', `the lock of this machine's services can't be opened: ${why}`, {
      hint: 'see who owns it, and whether the file system that it is on can be written',
      cause,
    });
  }
}

function isHeld(file: string, waitedMs: number): AgentError {
  const holder = readFileSync(file, 'utf8').trim() || 'it has not said which';
  return new AgentError(
    'QUIESCE_FAILED',
    `another bakker has held services of this machine for ${Math.round(waitedMs / 1000)} s and more: ${holder}`,
    { hint: 'let the configurations of this machine run at different times' },
  );
}
