import type { PendingRequest } from './pending-request.ts';

/** Requests by id, in a ring that is at least twice as large as what is in it. */
export class InFlight {
  #slots: Slot[] = emptySlots(FIRST_SLOTS);
  #nextId = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** An id that no request in the ring has, and whose slot is free. */
  freeId(): number {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let id = this.#nextId;
    while (this.#slots[id & mask] !== undefined) id = (id + 1) >>> 0;
    this.#nextId = (id + 1) >>> 0;
    return id;
  }

  /** @param request - its id from `freeId`, with no other added in between */
  add(request: PendingRequest): void {
    this.#slots[request.id & (this.#slots.length - 1)] = request;
    this.#count++;
  }

  get(id: number): PendingRequest | undefined {
    const request = this.#slots[id & (this.#slots.length - 1)];
    return request?.id === id ? request : undefined;
  }

  /** @param id - of a request in the ring */
  remove(id: number): void {
    this.#slots[id & (this.#slots.length - 1)] = undefined;
    this.#count--;
  }

  /** Empties the ring and returns what was in it. */
  removeAll(): PendingRequest[] {
    const requests = this.#slots.filter((request) => request !== undefined);
    this.#slots = emptySlots(FIRST_SLOTS);
    this.#count = 0;
    return requests;
  }

  #grow(): void {
    // Ids that differ modulo the old size differ modulo the new one, so no two meet in a slot.
    const slots = emptySlots(this.#slots.length * 2);
    for (const request of this.#slots) {
      if (request !== undefined) slots[request.id & (slots.length - 1)] = request;
    }
    this.#slots = slots;
  }
}

type Slot = PendingRequest | undefined;

/** A power of two. */
const FIRST_SLOTS = 1024;

function emptySlots(count: number): Slot[] {
  return new Array<Slot>(count).fill(undefined);
}
