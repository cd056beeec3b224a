/** Keeps the removal of runs apart from what reads them for long, on this machine. The kernel drops it with its process. */
export interface ReadingLock {
  /** Any number at a time; undefined while runs are removed. Where there is no state folder to lock in, nothing is held. */
  tryRead(): Disposable | undefined;
  /** Undefined while somebody reads. */
  tryRemove(): Disposable | undefined;
}
