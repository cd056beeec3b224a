import type { Catalogue } from '../ports/state-folder.ts';

/** Opened by the first who needs it, closed with the run. */
export class LazyCatalogue implements Disposable {
  readonly #open: () => Promise<Catalogue>;
  #opening: Promise<Catalogue> | undefined;
  opened: Catalogue | undefined;

  constructor(open: () => Promise<Catalogue>) {
    this.#open = open;
  }

  open(): Promise<Catalogue> {
    return (this.#opening ??= this.#open().then((catalogue) => (this.opened = catalogue)));
  }

  [Symbol.dispose](): void {
    this.opened?.[Symbol.dispose]();
  }
}
