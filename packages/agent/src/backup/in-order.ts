/** A place in the order; filled once, later, or dropped. */
export interface Slot<T> {
  value: T | undefined;
  state: 'waiting' | 'filled' | 'dropped';
}

/** Lets work end in any order and hands its results out in the order in which it began. Holds what waits for the first. */
export class InOrder<T> {
  #slots: Slot<T>[] = [];

  get waitingCount(): number {
    return this.#slots.length;
  }

  add(): Slot<T> {
    const slot: Slot<T> = { value: undefined, state: 'waiting' };
    this.#slots.push(slot);
    return slot;
  }

  /** The results that nothing before them waits for any more. */
  take(): T[] {
    const taken: T[] = [];
    let count = 0;
    for (const slot of this.#slots) {
      if (slot.state === 'waiting') break;
      count++;
      if (slot.state === 'filled' && slot.value !== undefined) taken.push(slot.value);
    }
    if (count > 0) this.#slots = this.#slots.slice(count);
    return taken;
  }
}
