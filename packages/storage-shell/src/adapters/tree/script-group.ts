/** What one script has under way. It is done when everything was begun and has ended. */
export class ScriptGroup {
  readonly number: number;
  #pending = 0;
  #failure: { readonly error: unknown } | undefined;
  #waiting: (() => void)[] = [];

  constructor(number: number) {
    this.number = number;
  }

  begun(): void {
    this.#pending++;
  }

  ended(): void {
    this.#pending--;
    this.#wake();
  }

  failed(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  /** Resolves when nothing is under way. @throws what failed first */
  async settled(): Promise<void> {
    while (this.#pending > 0 && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #wake(): void {
    if (this.#pending > 0 && this.#failure === undefined) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
